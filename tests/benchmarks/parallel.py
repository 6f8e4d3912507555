"""Shared memory of distributed training: gradients, weights and steps, against memcpy in the same
run.

The vectors are as long as the DDQN's real networks. GB are of float32 numbers delivered, also where
packets are bfloat16 and half as long.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mario_agents.runtime.shm.atomics import Fence
from mario_agents.runtime.shm.gradient_pool import SharedGradientPool
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.shm.shared_weights import SharedWeights
from mario_agents.runtime.transport import Numbers, PacketType

SPAWN = multiprocessing.get_context("spawn")
NETWORKS = {"Nature, 84x84": ((4, 84, 84), 256), "small, 36x36": ((4, 36, 36), 16)}
DTYPES: tuple[PacketType, ...] = ("float32", "bfloat16")


def fill(vector: NDArray[np.float32]) -> Callable[[Numbers], None]:
    """Writes a vector into a packet; to bfloat16 it is cut, in one pass, as rounding would take."""
    upper = vector.view(np.uint16)[1::2]
    return lambda out: np.copyto(out, upper if out.dtype == np.uint16 else vector)


def produce(pool: SharedGradientPool, heartbeat_name: str) -> None:
    """A worker that does nothing but publish, whenever there is room."""
    heartbeat = SharedHeartbeat.attach(heartbeat_name)
    vector = np.random.default_rng(0).normal(size=pool.size).astype(np.float32)
    while not heartbeat.stopping:
        if pool.has_room(0):
            pool.publish(0, fill(vector), version=0)
        else:
            time.sleep(0)


def read(weights_name: str, heartbeat_name: str) -> None:
    """A worker that does nothing but read new weights."""
    weights = SharedWeights.attach(weights_name)
    heartbeat = SharedHeartbeat.attach(heartbeat_name)
    out = np.empty(weights.size, dtype=np.float32)
    version = 0
    while not heartbeat.stopping:
        version = weights.read(out, newer_than=version) or version


def per_call(call: Callable[[], object], seconds: float = 0.1) -> float:
    """Seconds a call takes, the best of some bunches: what it costs undisturbed."""
    call()
    start = time.perf_counter()
    call()
    bunch = max(1, int(seconds / 5 / max(time.perf_counter() - start, 1e-9)))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(bunch):
            call()
        times.append((time.perf_counter() - start) / bunch)
    return min(times)


def stream(segments: SharedSegments, size: int, dtype: PacketType, seconds: float) -> float:
    """Packets a second that one process publishes and this one adds up."""
    pool = SharedGradientPool.create(segments, workers=1, size=size, dtype=dtype)
    heartbeat = SharedHeartbeat.create(segments, workers=1)
    process = SPAWN.Process(target=produce, args=(pool, heartbeat.name))
    process.start()
    total, count, start = np.zeros(size, dtype=np.float32), 0, 0.0
    while not start or time.perf_counter() - start < seconds:
        packet = pool.poll(0)
        if packet is None:
            time.sleep(0)
            continue
        start = start or time.perf_counter()  # the first has come: the process is up
        packet.add_to(total)
        packet.release()
        count += 1
    rate = (count - 1) / (time.perf_counter() - start)
    heartbeat.stop()
    process.join()
    return rate


def handing_over(segments: SharedSegments, size: int, dtype: PacketType) -> tuple[float, float]:
    """Seconds to publish a packet, and to add it up and release it, in one process."""
    pool = SharedGradientPool.create(segments, workers=1, size=size, dtype=dtype)
    vector = np.random.default_rng(0).normal(size=size).astype(np.float32)
    total, publishing, adding = np.zeros(size, dtype=np.float32), [], []
    for _ in range(30):
        start = time.perf_counter()
        pool.publish(0, fill(vector), version=0)
        middle = time.perf_counter()
        packet = pool.poll(0)
        assert packet is not None
        packet.add_to(total)
        packet.release()
        publishing.append(middle - start)
        adding.append(time.perf_counter() - middle)
    return min(publishing), min(adding)


def weights_latency(segments: SharedSegments, size: int) -> tuple[float, float, float]:
    """Seconds to publish, to read, and to publish while another process reads all it can."""
    weights = SharedWeights.create(segments, size=size)
    heartbeat = SharedHeartbeat.create(segments, workers=1)
    vector, out = np.ones(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    publishing = per_call(lambda: weights.publish(vector))
    reading = per_call(lambda: weights.read(out))
    process = SPAWN.Process(target=read, args=(weights.name, heartbeat.name))
    process.start()
    time.sleep(2.0)
    disturbed = per_call(lambda: weights.publish(vector))
    heartbeat.stop()
    process.join()
    return publishing, reading, disturbed


def copying(size: int, seconds: float) -> float:
    """Copies a second of such a vector."""
    source, target = np.ones(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        np.copyto(target, source)
        count += 1
    return count / (time.perf_counter() - start)


def packing(shape: tuple[int, int, int], hidden: int) -> tuple[int, float, float]:
    """Length of a network's gradients, and seconds to pack and unpack them with one thread."""
    # Here, and not above, so that the other processes start without torch.
    import torch

    from mario_agents.algos.dqn.networks import QNetwork
    from mario_agents.core.gradients import trainable
    from mario_agents.nn.encoders import NatureEncoder
    from mario_agents.runtime.flatten import TensorLayout

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = QNetwork(NatureEncoder(shape), 7, hidden=hidden, q_scale=50.0)
    layout = TensorLayout(network.named_parameters(), numeric=True)
    parameters, vector = trainable(network), np.empty(layout.size, dtype=np.float32)
    pack = per_call(lambda: layout.pack(parameters, out=vector))
    unpack = per_call(lambda: layout.unpack(vector, parameters))
    torch.set_num_threads(threads)
    return layout.size, pack, unpack


def sending_steps(name: str, steps: int) -> None:
    """Print what sending rounds of so many steps of 16 games costs."""
    # Here, and not above, so that the other processes start without torch.
    from mario_agents.runtime.step_layout import StepLayout
    from tests.benchmarks.replay import CENTRAL, CENTRAL_GAMES, play

    shape = CENTRAL[name]
    played = play(shape, steps, CENTRAL_GAMES)
    extras = {kept: ((), values.dtype) for kept, values in played[0].extras.items()}
    layout = StepLayout(shape, CENTRAL_GAMES, extras, steps=steps)
    packet = np.zeros(layout.capacity, dtype=np.uint8)
    played = played[: layout.most]

    def send() -> int:
        ((size, write),) = layout.pack(played, 0, 0)
        write(packet[:size])
        return size

    size, count = send(), len(played) * CENTRAL_GAMES
    copied = np.empty(size, dtype=np.uint8)
    times = [per_call(send), per_call(lambda: layout.unpack(packet[:size].copy()))]
    times.append(per_call(lambda: np.copyto(copied, packet[:size])))
    each = "  ".join(f"{seconds / count * 1e6:6.2f}" for seconds in times)
    print(f"  {f'{name}, packets of {count} steps':34} {size / count:8,.0f} bytes  {each} us")


def compare(name: str, seconds: float, rounds: int) -> None:
    """Print one network's figures."""
    size, pack, unpack = packing(*NETWORKS[name])
    gigabytes = size * 4 / 1e9
    print(f"{name}: {size:,} parameters, {gigabytes * 1e3:.2f} MB of float32")
    copies: list[float] = []
    rates: dict[PacketType, list[float]] = {dtype: [] for dtype in DTYPES}
    with tempfile.TemporaryDirectory() as leases:
        for _ in range(rounds):
            copies.append(copying(size, seconds / 2))
            for dtype in DTYPES:
                with SharedSegments(Path(leases)) as segments:
                    rates[dtype].append(stream(segments, size, dtype, seconds))
        copied = statistics.median(copies)
        print(
            f"  {'memcpy (np.copyto)':34} {copied:8,.0f} copies/s  {gigabytes * copied:8.2f} GB/s"
        )
        for dtype in DTYPES:
            rate = statistics.median(rates[dtype])
            ratio = statistics.median(
                ours / copy for ours, copy in zip(rates[dtype], copies, strict=True)
            )
            print(
                f"  {dtype + ' through the pool, added up':34} {rate:8,.0f} packets/s "
                f"{gigabytes * rate:8.2f} GB/s; {ratio:.2f} of memcpy"
            )
        with SharedSegments(Path(leases)) as segments:
            for dtype in DTYPES:
                publish, add = handing_over(segments, size, dtype)
                print(
                    f"  {dtype + ': publish, add up':34} {publish * 1e3:8.3f} {add * 1e3:8.3f} ms"
                )
            publish, reading, disturbed = weights_latency(segments, size)
    print(
        f"  {'weights: publish, read':34} {publish * 1e3:8.3f} {reading * 1e3:8.3f} ms; "
        f"publish beside a busy reader {disturbed * 1e3:.3f} ms"
    )
    print(f"  {'layout: pack, unpack':34} {pack * 1e3:8.3f} {unpack * 1e3:8.3f} ms", flush=True)


def main(seconds: float = 1.0, rounds: int = 5) -> None:
    """Print a table for each network."""
    print(f"median of {rounds} rounds of {seconds:g} s for streams; best of several for the rest")
    for name in NETWORKS:
        compare(name, seconds, rounds)
    print("steps, of one game each: bytes; to pack, to unpack, and to copy as many bytes")
    for shape in ("tiles", "pixels 52x64", "pixels 84x84"):
        for steps in (4, 16):
            sending_steps(shape, steps)
    print(f"a fence: {per_call(Fence(), 0.02) * 1e6:.2f} us")
