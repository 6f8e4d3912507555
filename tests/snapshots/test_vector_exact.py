"""Games of a vector as values: exact after every restore, the same as those of single ones."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from mario_envkit.emulator import native
from mario_envkit.errors import SnapshotMismatch
from mario_envkit.snapshots import (
    ArchivedSnapshot,
    Context,
    MarioSnapshotVectorEnv,
    Place,
    SnapshotArchive,
    create_snapshot_mario_env,
)
from tests.snapshots.playing import STACKS, play
from tests.snapshots.test_exact import resident_kib
from tests.snapshots.vectors import walk
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

KINDS = {name: STACKS[name] for name in ("train", "everything", "full game", "memory")}
ENVS = 4
AFTER = 12


def make(kind: str, **kwargs: Any) -> MarioSnapshotVectorEnv:
    """Games in which the handlers never save or restore anything by themselves."""
    quiet = {"checkpoint_interval": 10**6, "max_restores_without_progress": 0}
    options = {**STACKS[kind], **quiet, "restore_noise": True, **kwargs}
    env = gymnasium.make_vec("MarioSnapshot-v0", ENVS, autoreset_mode="Disabled", **options)
    assert isinstance(env, MarioSnapshotVectorEnv)
    return env


def entry_of(env: MarioSnapshotVectorEnv, i: int, observation: Any) -> ArchivedSnapshot:
    pool, slot = env.pool, env.slots[i]
    info = pool.infos.of(i)
    place = Place.of(info, slot.ram)
    return ArchivedSnapshot(place, slot.save(), observation[i].copy(), info)


def put(env: MarioSnapshotVectorEnv, i: int, entry: ArchivedSnapshot) -> None:
    env.slots[i].load(entry.saved)
    env.pool.restart_at(i, entry.observation, entry.info)


def follow(env: MarioSnapshotVectorEnv, actions: Any) -> list[list[Any]]:
    """What each game says, with its RAM, up to the end of its episode."""
    said: list[list[Any]] = [[] for _ in range(ENVS)]
    ended = np.zeros(ENVS, np.bool_)
    for row in actions:
        observations, rewards, terminated, truncated, _ = env.step(row)
        over = terminated | truncated
        for i in np.flatnonzero(~ended).tolist():
            info, ram = env.pool.infos.of(i), env.slots[i].ram.tobytes()
            said[i].append(
                (observations[i].tobytes(), rewards[i], terminated[i], truncated[i], info, ram)
            )
        ended |= over
        if over.any():
            env.reset(options={"reset_mask": over})
    return said


def recorded(env: MarioSnapshotVectorEnv, rounds: int, seed: int) -> list[tuple[Any, Any, Any]]:
    """Snapshots along a run of all games, with actions and what they led to."""
    rng = np.random.default_rng(seed)
    act = walk(ENVS, 7, seed)
    observations, _ = env.reset(seed=seed)
    kept = []
    for _ in range(rounds):
        for number in range(int(rng.integers(1, 12))):
            observations, _, terminated, truncated, _ = env.step(act(number))
            over = terminated | truncated
            if over.any():
                observations, _ = env.reset(options={"reset_mask": over})
        entries = [entry_of(env, i, observations) for i in range(ENVS)]
        actions = [act(number) for number in range(AFTER)]
        said = follow(env, actions)
        kept += [(entries[i], [int(row[i]) for row in actions], said[i]) for i in range(ENVS)]
        observations, _ = env.reset(options={"reset_mask": np.arange(ENVS) == rng.integers(ENVS)})
    return kept


def replay(env: MarioSnapshotVectorEnv, kept: list[tuple[Any, Any, Any]], seed: int) -> None:
    """Put everything back, in another order and into other games, and compare."""
    order = np.random.default_rng(seed).permutation(len(kept))
    for some in order.reshape(-1, ENVS):
        for i, index in enumerate(some):
            entry = kept[index][0]
            put(env, i, pickle.loads(pickle.dumps(entry)) if index % 2 else entry)
        actions = np.array([kept[index][1] for index in some]).T
        said = follow(env, actions)
        for i, index in enumerate(some):
            assert said[i] == kept[index][2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_hundreds_of_saves_and_restores(kind):
    env = make(kind, num_threads=2)
    kept = recorded(env, 30, 5)
    assert any(said[-1][2] or said[-1][3] for _, _, said in kept), "some run over an end"
    replay(env, kept, 1)
    replay(env, kept, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_single_environments_and_vectors_load_each_others_snapshots(kind):
    env = make(kind)
    kept = recorded(env, 4, 8)
    single = create_snapshot_mario_env(**KINDS[kind]).env
    single.reset(seed=77)
    context = Context(single)
    for entry, actions, said in kept:
        context.load(entry.saved)
        theirs = play(single, actions)
        assert theirs == [tuple(row) for row in said]

    back = []
    for entry, actions, said in kept:
        context.load(entry.saved)
        ram = context.ram
        again = ArchivedSnapshot(
            Place.of(entry.info, ram), context.save(), entry.observation, entry.info
        )
        assert again.to_bytes() == entry.to_bytes()
        back.append((ArchivedSnapshot.from_bytes(again.to_bytes()), actions, said))
    replay(env, back, 3)


def _replay_from(folder: Path, runs: dict[str, list[tuple[Place, Any, Any]]], out: Any) -> None:
    for kind, kept in runs.items():
        env = make(kind, archive=folder / kind)
        env.reset(seed=99)
        archive = env.handlers[0].archive
        replay(env, [(archive.get(place), actions, said) for place, actions, said in kept], 4)
    out.put([*runs])


def test_through_files_into_another_process(tmp_path):
    runs: dict[str, list[tuple[Place, Any, Any]]] = {}
    for kind in ("train", "everything"):
        archive = SnapshotArchive()
        kept: dict[Place, Any] = {}
        for entry, actions, said in recorded(make(kind), 8, 3):
            if archive.add(entry):
                kept[entry.place] = entry.place, actions, said
        archive.save(tmp_path / kind)
        runs[kind] = list(kept.values())[: len(kept) // ENVS * ENVS]
        assert len(runs[kind]) >= 8
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=_replay_from, args=(tmp_path, runs, out))
    process.start()
    assert out.get(timeout=PATIENCE) == [*runs]
    process.join()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_ten_thousand_restores_leak_no_memory():
    env = make("train")
    entries = [entry for entry, _, _ in recorded(env, 5, 1)]

    def restore(count: int) -> None:
        for number in range(count):
            put(env, number % ENVS, entries[number % len(entries)])
            env.slots[number % ENVS].save()
            if number % 100 == 0:
                env.step(np.ones(ENVS, np.int64))
                env.reset()

    restore(1000)
    before = resident_kib()
    restore(10_000)
    assert resident_kib() - before < 2048


def test_a_snapshot_that_does_not_fit_is_refused():
    env = make("train")
    env.reset(seed=0)
    before = entry_of(env, 1, np.zeros((ENVS, 4, 84, 84), np.uint8)).to_bytes()
    others = {"wrappers": {"stall_limit": 10}, "core": {"timing": "nes-py"},
              "reward": {"reward": "progress"}}  # fmt: skip
    for says, kwargs in others.items():
        other = create_snapshot_mario_env(**kwargs)
        other.reset(seed=0)
        with pytest.raises(SnapshotMismatch, match=f"same arg|{says}"):
            env.slots[1].load(Context(other.env).save())
    whole = env.slots[1].save()
    damaged = type(whole.console)(whole.console.core, whole.console.rom_sha256, b"\1\2")
    with pytest.raises(SnapshotMismatch, match="2 bytes"):
        env.slots[1].load(dataclasses.replace(whole, console=damaged))
    assert entry_of(env, 1, np.zeros((ENVS, 4, 84, 84), np.uint8)).to_bytes() == before
