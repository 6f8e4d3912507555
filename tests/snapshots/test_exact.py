"""After a restore everything is, bit for bit, what followed the save."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.emulator.backends import available_backends
from mario_envkit.emulator.rom import installed_roms
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError, SnapshotMismatch
from mario_envkit.registration import TRAIN_DEFAULTS, make_mario
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.context import Context
from mario_envkit.snapshots.entry import ArchivedSnapshot, Place
from mario_envkit.snapshots.handler import SnapshotHandler
from mario_envkit.snapshots.state_machine import SnapshotRules
from mario_envkit.snapshots.wrapper import SnapshotMarioEnvironment
from mario_envkit.wrappers import StallLimit
from tests.snapshots.playing import STACKS, draw_action, make, play
from tests.waiting import PATIENCE

HAS_LOST_LEVELS = any(rom.game == "lost_levels" for rom in installed_roms())


def skip_missing(name: str) -> None:
    if name == "lost levels" and not HAS_LOST_LEVELS:
        pytest.skip("Lost Levels is not installed")


@pytest.mark.parametrize("name", STACKS)
def test_saves_and_restores_in_one_environment(name):
    skip_missing(name)
    env = make(name, steps=400)
    context = Context(env)
    rng = np.random.default_rng(7)
    env.reset(seed=7)
    kept: list[tuple[Any, list[int], list[Any]]] = []
    ended = 0
    for _ in range(50):
        kept.append((context.save(), [draw_action(env, rng) for _ in range(16)], []))
        saved, actions, said = kept[-1]
        said += play(env, actions)
        if said[-1][2] or said[-1][3]:
            ended += 1
            env.reset()
    for index in rng.permutation(len(kept)):
        saved, actions, said = kept[index]
        context.load(saved if index % 2 else pickle.loads(pickle.dumps(saved)))
        assert play(env, actions) == said
    assert ended, "some of these runs were meant to go over the end of an episode"


@pytest.mark.skipif("nes-py" not in available_backends(), reason="nes-py is not installed")
@pytest.mark.slow
def test_saves_and_restores_on_nes_py():
    env = make_mario(**{**TRAIN_DEFAULTS, "backend": "nes-py"})
    context = Context(env)
    rng = np.random.default_rng(1)
    env.reset(seed=1)
    kept = []
    for _ in range(5):  # few: a restore there can mean replaying everything since power-on
        saved, actions = context.save(), [draw_action(env, rng) for _ in range(8)]
        kept.append((saved, actions, play(env, actions)))
    for saved, actions, said in reversed(kept):
        context.load(saved)
        assert play(env, actions) == said


def archived(name: str, count: int) -> list[tuple[ArchivedSnapshot, list[int], list[Any]]]:
    """Snapshots along a run, with actions and what they led to."""
    env = make(name)
    context = Context(env)
    rng = np.random.default_rng(11)
    observation, info = env.reset(seed=11)
    found = []
    while len(found) < count:
        place = Place.of(info, context.ram)
        entry = ArchivedSnapshot(place, context.save(), observation, info)
        actions = [draw_action(env, rng) for _ in range(12)]
        said = play(env, actions)
        if place not in [e.place for e, _, _ in found]:
            found.append((entry, actions, said))
        over = said[-1][2] or said[-1][3]
        if not over:
            observation, _, terminated, truncated, info = env.step(draw_action(env, rng))
            over = terminated or truncated
        if over:
            observation, info = env.reset()
    return found


def _replay(
    folder: Path, runs: dict[str, list[tuple[Place, list[int]]]], out: multiprocessing.Queue[Any]
) -> None:
    results: dict[str, list[Any]] = {}
    for name, played in runs.items():
        env = make(name)
        env.reset(seed=99)  # anything else: nothing of it may be left after a restore
        archive = SnapshotArchive.load(folder / name)
        results[name] = []
        for place, actions in played:
            entry = archive.get(place)
            Context(env).load(entry.saved)
            results[name].append((entry.observation, entry.info, play(env, actions)))
    out.put(results)


def test_through_files_into_another_process(tmp_path):
    kept = {name: archived(name, 12) for name in ("train", "everything", "full game", "memory")}
    for name, entries in kept.items():
        archive = SnapshotArchive()
        for entry, _, _ in entries:
            assert archive.add(entry)
        archive.save(tmp_path / name)
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    runs = {
        name: [(entry.place, actions) for entry, actions, _ in entries]
        for name, entries in kept.items()
    }
    process = context.Process(target=_replay, args=(tmp_path, runs, out))
    process.start()
    results = out.get(timeout=PATIENCE)
    process.join()
    for name, entries in kept.items():
        for (entry, _, said), found in zip(entries, results[name], strict=True):
            observation, info, replayed = found
            assert np.array_equal(entry.observation, observation), name
            assert entry.observation.dtype == observation.dtype, name
            assert entry.info == info, name
            assert replayed == said, name


def test_without_the_noise_every_attempt_has_its_own_luck():
    env = make("everything")
    context = Context(env)
    env.reset(seed=5)
    saved = context.save()
    actions = [1, 2, 3, 4, 5, 6] * 4
    said = play(env, actions)
    others = []
    for _ in range(5):
        context.load(saved, noise=False)
        others.append(play(env, actions))
    assert any(other != said for other in others)
    context.load(saved)
    assert play(env, actions) == said


class Echo(gymnasium.Wrapper):
    """Adds the last reward to this one: state that nobody is told of."""

    last = 0.0

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        reward, self.last = reward + self.last, reward
        return observation, reward, terminated, truncated, info


class FairEcho(Echo):
    def save_context(self):
        return (self.last,)

    def load_context(self, values):
        (self.last,) = values


def test_a_wrapper_that_cannot_be_restored_is_an_error():
    for unknown in (Echo, gymnasium.wrappers.RecordEpisodeStatistics):
        with pytest.raises(OptionError, match=f"The wrapper {unknown.__name__}"):
            Context(unknown(make("train")))
    with pytest.raises(OptionError, match="has snapshots already"):
        SnapshotMarioEnvironment(FairEcho(SnapshotMarioEnvironment(make("train"))))
    env = FairEcho(make("train"))
    env.reset(seed=0)
    play(env, [1] * 5)
    saved = Context(env).save()
    said = play(env, [1] * 20)
    Context(env).load(saved)
    assert play(env, [1] * 20) == said


def test_a_snapshot_of_another_environment_changes_nothing():
    env = make("train")
    env.reset(seed=0)
    play(env, [1] * 5)
    before = Context(env).save()
    others = {
        "wrappers|arguments": StallLimit(make("train"), 10),
        "core": make("colour, no stack, as nes-py"),
        "reward=": make_mario(**{**TRAIN_DEFAULTS, "reward": "progress"}),
    }
    if HAS_LOST_LEVELS:
        others["cartridge"] = make("lost levels")
    for says, other in others.items():
        other.reset()
        with pytest.raises(SnapshotMismatch, match=says):
            Context(env).load(Context(other).save())
    after = Context(env).save()
    assert (after.console, after.noise) == (before.console, before.noise)
    assert [repr(layer) for layer in after.layers] == [repr(layer) for layer in before.layers]


def test_the_picture_is_restored_as_well():
    env = MarioEnv(render_mode="rgb_array")
    env.reset(seed=0)
    context = Context(env)
    play(env, [128] * 60)
    saved, picture = context.save(), env.render()
    play(env, [129] * 60)
    assert not np.array_equal(env.render(), picture)
    context.load(saved)
    assert np.array_equal(env.render(), picture)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_ten_thousand_restores_leak_no_memory():
    entries = [entry for entry, _, _ in archived("train", 10)]
    env = make("train")
    env.reset(seed=0)
    handler = restoring_handler(env, entries)
    for _ in range(1000):
        restore_one(handler, entries)
    before = resident_kib()
    for _ in range(10_000):
        restore_one(handler, entries)
    assert handler.total_restores == 11_000
    assert resident_kib() - before < 2048


def restoring_handler(env: Any, entries: list[ArchivedSnapshot]) -> SnapshotHandler:
    archive = SnapshotArchive(doomed_after=10**9)
    for entry in entries:
        archive.add(entry)
    rules = SnapshotRules(max_restores_without_progress=10**9)
    handler = SnapshotHandler(Context(env), archive, SharedHotspots(), rules)
    handler.begin(entries[0].info)
    return handler


def restore_one(handler: SnapshotHandler, entries: list[ArchivedSnapshot]) -> None:
    death = {**entries[-1].info, "died": True, "death_cause": "enemy"}
    death["x_pos"] += 200
    handler.after_step(entries[-1].observation, death, terminated=True, truncated=False)
    observation, _ = handler.restore()
    assert observation.shape == (4, 84, 84)


def resident_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")
