"""Keeping steps and drawing batches: CPU time of one call, the best of several rounds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mario_agents.core.types import Step
from mario_agents.replay.memory import available_memory, gigabytes
from mario_agents.replay.saving import StorageSaver
from mario_agents.replay.selectors import PrioritizedSelector, Selector, UniformSelector
from mario_agents.replay.storage import Storage, storage_bytes
from mario_agents.replay.transitions import VALUE_COLUMNS, TransitionReplay, ValueErrors
from mario_agents.replay.windows import sequences, unrolls
from mario_agents.run import CheckpointStore

GAMES, BATCH, ROWS = 8, 128, 500
SHAPES = {"pixels": (4, 84, 84), "tiles": (2, 16, 16)}

CENTRAL = {"tiles": (2, 16, 16), "pixels 52x64": (2, 52, 64), "pixels 84x84": (4, 84, 84)}
MILLION, WORKERS, CENTRAL_GAMES, CENTRAL_BATCH = 1_000_000, 8, 16, 512


def play(shape: tuple[int, ...], steps: int, games: int = GAMES) -> list[Step]:
    """Steps of games of noise, whose episodes do not end."""
    rng = np.random.default_rng(0)
    obs = rng.integers(255, size=(games, *shape)).astype(np.uint8)
    zeros, no = np.zeros(games), np.zeros(games, np.bool_)
    action, reward = zeros.astype(np.int64), zeros.astype(np.float32)
    found = []
    for _ in range(steps):
        frame = rng.integers(255, size=(games, 1, *shape[1:])).astype(np.uint8)
        final = np.concatenate([obs[:, 1:], frame], axis=1)
        kept = {name: rng.random(games).astype(np.float32) for name in VALUE_COLUMNS}
        found.append(Step(obs, action, reward, no, no, final, no, kept))
        obs = final
    return found


def microseconds(run: Callable[[], object], calls: int, rounds: int = 5) -> float:
    """CPU time of one of the ``calls`` that ``run`` makes."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best / calls * 1e6


def transitions(shape: tuple[int, ...], *, prioritized: bool) -> tuple[float, float]:
    """Time to add a step of all games to a full storage, and to draw a batch and learn of it."""
    storage, rng = Storage(GAMES * ROWS, GAMES, shape), np.random.default_rng(1)
    selector: Selector = UniformSelector(storage, rng)
    if prioritized:
        selector = PrioritizedSelector(storage, rng, alpha=0.6, beta=lambda at: 0.4)
    sizes = {"batch_size": BATCH, "learning_starts": 1, "train_every": 1}
    replay = TransitionReplay(storage, selector, n_step=3, gamma=0.9, save=False, **sizes)
    steps = play(shape, ROWS + 100)
    errors = {"priority": torch.ones(BATCH)}

    def add() -> None:
        for step in steps:
            replay.add(step, 0)

    def sample() -> None:
        for _ in range(100):
            replay.feedback(replay.draw(0), errors)

    add()
    return microseconds(add, len(steps)), microseconds(sample, 100)


def windows(shape: tuple[int, ...]) -> tuple[float, float]:
    """Time to build 16 unrolls of 20 steps, and 16 sequences of 64 observations."""
    storage = Storage(GAMES * ROWS, GAMES, shape)
    for step in play(shape, ROWS):
        storage.add(step, 0)
    start = np.arange(GAMES, GAMES + 16)
    return (
        microseconds(lambda: [unrolls(storage, start, 20) for _ in range(20)], 20),
        microseconds(lambda: [sequences(storage, start, 64) for _ in range(20)], 20),
    )


def saving(shape: tuple[int, ...], rows: int) -> None:
    """How long training stands still for the pieces of a checkpoint, and for the checkpoint."""
    storage = Storage(GAMES * rows, GAMES, shape)
    saver, steps = StorageSaver(storage), play(shape, 200)
    pauses: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder))

        def timed(write: Callable[[], object]) -> None:
            start = time.perf_counter()
            if write() is not False:
                pauses.append(time.perf_counter() - start)

        for count in range(rows):
            storage.add(steps[count % len(steps)], 0)
            timed(lambda: saver.write_chunk(store.write_chunk))
        chunks = len(pauses)
        timed(lambda: store.save(1, saver.tensors(), saver.state(), saver.chunks()))
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    print(
        f"{len(storage):,} steps are {size / 1e6:,.0f} MB in {chunks} pieces and a checkpoint; "
        f"longest pause {max(pauses):.2f} s, the checkpoint's {pauses[-1]:.2f} s"
    )


def central(shape: tuple[int, ...], capacity: int) -> None:
    """The replay of Ape-X: steps of several workers in, with first priorities, and batches out,
    with new ones; by CPU time, since one core does both."""
    workers = range(WORKERS)
    storage = Storage(capacity, CENTRAL_GAMES, shape, workers=workers, extras=VALUE_COLUMNS)
    initial = ValueErrors(storage, n_step=3, gamma=0.9)
    selector = PrioritizedSelector(
        storage, np.random.default_rng(0), alpha=0.6, beta=lambda at: 0.4, initial=initial
    )
    sizes = {"batch_size": CENTRAL_BATCH, "learning_starts": 1, "train_every": 1}
    replay = TransitionReplay(storage, selector, n_step=3, gamma=0.9, save=False, **sizes)
    steps = play(shape, 64, CENTRAL_GAMES)
    errors = {"priority": torch.rand(CENTRAL_BATCH)}

    def insert(rounds: int) -> float:
        """Steps a second; a round is a packet of 64 steps from every worker."""
        start = time.process_time()
        for count in range(rounds):
            for worker in workers:
                for step in steps[count % 16 * 4 : count % 16 * 4 + 4]:
                    replay.add(step, worker)
            selector.select(1, 0)  # sets the first priorities
        return rounds * 4 * WORKERS * CENTRAL_GAMES / (time.process_time() - start)

    def sample(batches: int) -> float:
        start = time.process_time()
        for _ in range(batches):
            replay.feedback(replay.draw(0), errors)
        return batches * CENTRAL_BATCH / (time.process_time() - start)

    filling = insert(capacity // (4 * WORKERS * CENTRAL_GAMES) + 1)
    full, out = insert(100), sample(100)
    size = (storage.nbytes + selector.trees.nbytes) / capacity * MILLION
    print(
        f"{capacity:>9,} filling {filling:>8,.0f}/s in, full {full:>8,.0f}/s in and "
        f"{out:>8,.0f}/s out; a million are {gigabytes(size)}"
    )


def main() -> None:
    print(f"{GAMES} games, batches of {BATCH}, microseconds")
    print(f"{'':>20}  {'add':>7}  {'sample':>7}")
    for name, shape in SHAPES.items():
        for prioritized in (False, True):
            add, sample = transitions(shape, prioritized=prioritized)
            kind = "prioritized" if prioritized else "uniform"
            print(f"{name:>7} {kind:>12}  {add:>7.1f}  {sample:>7.1f}")
    for name, shape in SHAPES.items():
        unroll, sequence = windows(shape)
        print(f"{name:>7}: 16 unrolls of 20 {unroll:.0f}, 16 sequences of 64 {sequence:.0f}")
    saving(SHAPES["pixels"], 2_500)
    print(
        f"central replay, {WORKERS} workers of {CENTRAL_GAMES} games, batches of {CENTRAL_BATCH} "
        "(Horgan et al. 2018, 376 cores and a GPU: 12,500/s in and 9,700/s out)"
    )
    for name, shape in CENTRAL.items():
        free = (available_memory() or 4 * 10**9) // 2
        size = storage_bytes(MILLION, WORKERS * CENTRAL_GAMES, shape, extras=VALUE_COLUMNS)
        print(f"{name:>12}: ", end="", flush=True)
        central(shape, min(MILLION, MILLION * free // size))


if __name__ == "__main__":
    main()
