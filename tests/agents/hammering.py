"""What the processes of the shared-memory tests do; no torch, so that they start quickly.

Vectors check themselves: every element follows from the worker and the number of the packet, and
is an integer below 256, which bfloat16 holds exactly.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.runtime.shm.gradient_pool import SharedGradientPool
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments, attach
from mario_agents.runtime.shm.shared_weights import SharedWeights

SPAWN = multiprocessing.get_context("spawn")
PERIOD = 251


class Pattern:
    """The vectors, as slices of one array."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._all = (np.arange(size + PERIOD) % PERIOD).astype(np.float32)

    def of(self, number: int, worker: int = 0) -> NDArray[np.float32]:
        start = (number * 31 + worker * 7) % PERIOD
        return self._all[start : start + self.size]


def fill(
    vector: NDArray[np.float32], copy: Callable[[Any, Any], object] = np.copyto
) -> Callable[[NDArray[Any]], None]:
    """What writes ``vector`` into a packet; of bfloat16 if that is what it holds."""

    def write(out: NDArray[Any]) -> None:
        narrow = out.dtype == np.uint16
        copy(out, (vector.view(np.uint32) >> 16).astype(np.uint16) if narrow else vector)

    return write


@contextlib.contextmanager
def running(target: Callable[..., None], *args: Any) -> Iterator[Any]:
    """A spawned process that runs ``target(*args)``; killed if it is still there at the end."""
    process = SPAWN.Process(target=target, args=args)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def publish_gradients(pool: SharedGradientPool, heartbeat_name: str, worker: int) -> None:
    """Publish as fast as the ring takes them, until the run stops; counts its attempts."""
    heartbeat = SharedHeartbeat.attach(heartbeat_name)
    row = heartbeat.row(worker)
    row.join()
    pattern = Pattern(pool.size)
    number = 0
    while not heartbeat.stopping:
        taken = pool.publish(worker, fill(pattern.of(number, worker)), row.count("packets"))
        row.add("packets")
        number += taken
        if not taken:
            time.sleep(0)


def publish_weights(weights_name: str, heartbeat_name: str) -> None:
    """Publish as fast as possible, until the run stops."""
    weights = SharedWeights.attach(weights_name)
    heartbeat = SharedHeartbeat.attach(heartbeat_name)
    heartbeat.row(heartbeat.coordinator).join()
    pattern = Pattern(weights.size)
    while not heartbeat.stopping:
        weights.publish(pattern.of(weights.version + 1))


def read_weights(weights_name: str, heartbeat_name: str, worker: int) -> None:
    """Check every version that can be had; the exit code is 0 only if all were whole."""
    weights = SharedWeights.attach(weights_name)
    heartbeat = SharedHeartbeat.attach(heartbeat_name)
    row = heartbeat.row(worker)
    row.join()
    pattern, out = Pattern(weights.size), np.empty(weights.size, dtype=np.float32)
    last = 0
    while not heartbeat.stopping:
        version = weights.read(out, newer_than=last)
        if version is None:
            continue
        assert version > last, (version, last)
        assert np.array_equal(out, pattern.of(version)), version
        last = version
        row.add("packets")


def die() -> None:
    """SIGKILL this very process."""
    os.kill(os.getpid(), signal.SIGKILL)


class DieAt:
    """A fence that kills the process the ``countdown``-th time, counting from 0."""

    def __init__(self, countdown: int) -> None:
        self.countdown = countdown

    def __call__(self) -> None:
        if self.countdown == 0:
            die()
        self.countdown -= 1


def die_in_copy(out: Any, source: Any) -> None:
    """A copy that kills the process in the middle."""
    half = len(out) // 2
    out[:half] = source[:half]
    die()


def _forked(action: Callable[[], None], kill_after: float | None = None) -> bool:
    """Run ``action`` in a forked process; whether SIGKILL ended it.

    Forking is right here: this process has one thread and no lease, and a hundred writers have to
    die within seconds.
    """
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def crash_gradient_writers(original: SharedGradientPool, rounds: int) -> None:
    """One writer after another on ring 0, each killed in ``publish``: first once at every fence
    and in the middle of the data, then ``rounds`` times at random moments."""
    pattern = Pattern(original.size)

    def publish(fence: Any = None, copy: Any = None, count: int = 1) -> None:
        pool = SharedGradientPool.attach(original.name, original.notifiers)
        pool.rings[0].fence = fence or pool.rings[0].fence
        for _ in range(count):
            while not pool.has_room(0):
                time.sleep(0)
            pool.publish(0, fill(pattern.of(pool.stats(0).published), copy or np.copyto), version=1)

    _crash(publish, fences=4, rounds=rounds)


def crash_weight_writers(weights_name: str, rounds: int) -> None:
    """Like :func:`crash_gradient_writers`, for the weights."""
    pattern = Pattern(SharedWeights.attach(weights_name).size)

    def publish(fence: Any = None, copy: Any = None, count: int = 1) -> None:
        weights = SharedWeights.attach(weights_name)
        weights._fence, weights._copy = fence or weights._fence, copy or weights._copy
        for _ in range(count):
            weights.publish(pattern.of(weights.version + 1))

    _crash(publish, fences=2, rounds=rounds)


def _crash(publish: Callable[..., None], *, fences: int, rounds: int) -> None:
    assert _forked(lambda: publish(copy=die_in_copy))
    for number in range(fences):
        assert _forked(lambda number=number: publish(fence=DieAt(number)))  # type: ignore[misc]
        assert not _forked(lambda: publish(count=2))  # its replacement publishes and leaves
    chance = random.Random(0)
    for _ in range(rounds):
        _forked(lambda: publish(count=1_000_000), kill_after=chance.uniform(0.001, 0.01))


def own_segments(leases: str, sizes: list[int], pipe: Any) -> None:
    """Make segments, send their names, and wait to be killed (or told to close)."""
    with SharedSegments(Path(leases)) as segments:
        pipe.send([segments.create(size)[0] for size in sizes])
        pipe.recv()


def attach_and_leave(name: str, index: int) -> None:
    """Write one byte of a segment and end, as a worker would."""
    attach(name)[index] = 1


def count_and_die(heartbeat_name: str, row_number: int, pipe: Any) -> None:
    """Join a row, count 300 steps, beat, and be killed."""
    row = SharedHeartbeat.attach(heartbeat_name).row(row_number)
    row.join()
    pipe.send(os.getpid())
    for _ in range(100):
        row.add("steps", 3)
    row.beat()
    die()
