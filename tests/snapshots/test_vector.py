"""MarioSnapshot-v0 in the vector is MarioSnapshot-v0, bit for bit, snapshots and all."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.emulator import native
from mario_envkit.emulator.rom import installed_roms
from mario_envkit.errors import EmulatorClosed
from mario_envkit.game.rewards import Distance, RewardFunction
from mario_envkit.snapshots import MarioSnapshotVectorEnv
from mario_envkit.snapshots.archive import SUFFIX, SnapshotArchive
from tests.native.test_pool import Ours
from tests.native.vectors import assert_same
from tests.snapshots.vectors import MODES, assert_equal_for, make_both, shared, walk

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

HAS_LOST_LEVELS = any(rom.game == "lost_levels" for rom in installed_roms())
RESTORES = ("in_episode", "on_reset")
LEVELS = ["1-1", "1-2", "8-1", "random", "full", ["2-2", "7-4"], "4-3"]


@pytest.mark.parametrize(("mode", "threads"), list(zip(MODES, (1, 2, 5), strict=True)))
@pytest.mark.parametrize("restore", RESTORES)
@pytest.mark.slow
def test_mixed_levels(mode, restore, threads):
    both = make_both(
        7, levels=LEVELS, autoreset_mode=mode, num_threads=threads, restore=restore,
        checkpoint_interval=80, stall_limit=40,
    )  # fmt: skip
    stats = assert_equal_for(*both, 300, walk(7, 7, threads), seed=threads)
    assert stats["total_restores"] > 20
    assert stats["total_give_ups"]


@pytest.mark.parametrize(("mode", "noise"), list(zip(MODES, (False, True, False), strict=True)))
@pytest.mark.parametrize("restore", RESTORES)
@pytest.mark.slow
def test_sticky_actions_noops_limits_and_one_archive_for_all(mode, restore, noise):
    both = make_both(
        4, level=["1-1", "5-2"], autoreset_mode=mode, restore=restore, restore_noise=noise,
        repeat_action_probability=0.25, noop_max=20, max_pool=True, reward="v9", crop_top=32,
        screen_size=(52, 64), stall_limit=30, max_episode_steps=150, checkpoint_interval=50,
        archives=shared(),
    )  # fmt: skip
    stats = assert_equal_for(*both, 400, walk(4, 7, 3))
    assert stats["total_restores"] > 7
    assert sum(level["attempts"] for level in stats["levels"].values()) > 4


OURS = RewardFunction((Distance(), Ours()), scale=0.3, clip=(-4, 11.5))
KINDS = {
    "colour, no stack, as nes-py": {
        "frame_stack": 1, "grayscale": False, "screen_size": (30, 32), "timing": "nes-py",
        "actions": "raw",
    },
    "no stack, pooled": {"frame_stack": 1, "max_pool": True, "stall_limit": 30},
    "memory": {"observation": "ram", "frame_stack": 2, "level": "7-4", "reward": "progress"},
    "a reward that only Python knows": {"reward": OURS, "screen_size": 20, "noop_max": 9},
    "weights of terms": {
        "reward": "progress", "reward_weights": {"death": 25, "progress": 0.25, "stall": 3},
        "stall_limit": 12, "observation": "tiles",
    },
    "buttons": {
        "observation": "tiles", "show_buttons": True, "show_level": True, "frame_stack": 1,
        "repeat_action_probability": 0.5,
    },
    "sticky frames": {
        "observation": "tiles", "show_buttons": True, "repeat_action_probability": 0.25,
        "repeat_frame_probability": 0.5, "noop_max": 9,
    },
    "full game": {"level": "full", "reward": "v9", "stall_limit": 100},
    "lost levels": {"game": "lost_levels", "repeat_action_probability": 0.5},
    "blank observations": {"observation": "tiles", "blank_probability": 0.5, "noop_max": 9},
    "blank observations, no stack": {
        "observation": "tiles", "blank_probability": 0.5, "frame_stack": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("restore", RESTORES)
def test_every_kind_of_environment(kind, restore):
    if kind == "lost levels" and not HAS_LOST_LEVELS:
        pytest.skip("Lost Levels is not installed")
    both = make_both(
        3, restore=restore, checkpoint_interval=40, autoreset_mode="SameStep", restore_noise=True,
        **KINDS[kind],
    )  # fmt: skip
    actions = both[0].single_action_space.n
    assert assert_equal_for(*both, 200, walk(3, actions, 5))["total_restores"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restore", RESTORES)
def test_the_time_is_up_in_the_step_of_a_death(mode, restore):
    def act(number):
        return np.array([1, 4])  # right; one of them with a jump

    death = _first_restore(act)
    both = make_both(
        2, autoreset_mode=mode, restore=restore, checkpoint_interval=20, max_episode_steps=death
    )
    stats = assert_equal_for(*both, 3 * death, act)
    assert stats["total_restores"]


def _first_restore(act) -> int:
    vector = gymnasium.make_vec("MarioSnapshot-v0", 2, checkpoint_interval=20)
    vector.reset(seed=0)
    for number in range(1, 400):
        if vector.step(act(number))[4]["snapshot_restored"].any():
            return number
    pytest.fail("walking right on 1-1 ends in the first enemy")


@pytest.mark.parametrize("restore", RESTORES)
def test_hotspots_of_a_file(restore, tmp_path):
    paths = tmp_path / "ours.json", tmp_path / "theirs.json"
    for path in paths:
        known = DeathHotspotAggregate(path=path)
        known.record_deaths_batch("1-1", [310, 700, 1200] * 5)
        known.save()
    # The games of the vector share what is in a file; the single ones are given the same.
    shared = paths[0], SharedHotspots(paths[1])
    both = make_both(3, restore=restore, hotspots=shared, checkpoint_interval=10**6)
    stats = assert_equal_for(*both, 700, walk(3, 7, 2))
    assert stats["total_saves"] > 5
    ours, theirs = (path.read_text() for path in paths)
    assert ours == theirs
    assert DeathHotspotAggregate.load_or_create(paths[0]).deaths("1-1") > 20


def test_archives_in_a_directory(tmp_path):
    directories = tmp_path / "ours", tmp_path / "theirs"
    archive = SnapshotArchive()
    both = make_both(
        3, archives=(directories[0], archive), checkpoint_interval=50, max_episode_steps=25,
        frame_skip=8,
    )  # fmt: skip
    stats = assert_equal_for(*both, 400, walk(3, 7, 6))
    assert stats["total_restores"]
    archive.save(directories[1])
    ours, theirs = (
        {path.name: path.read_bytes() for path in directory.glob("*" + SUFFIX)}
        for directory in directories
    )
    assert ours == theirs
    assert ours


@pytest.mark.parametrize("restore", RESTORES)
@pytest.mark.slow
def test_resets_with_seeds_levels_masks_and_true_starts(restore):
    vector, singles = make_both(3, restore=restore, checkpoint_interval=40, level=["1-1", "1-2"])
    act = walk(3, 7, 9)
    assert_same(vector.reset(seed=0), singles.reset(seed=0), "reset")
    asked = (None, {"true_start": True}, {"level": "4-1"}, {"level": "full"})
    mask = np.array([True, False, True])
    for number, options in enumerate(asked * 2):
        for step in range(100):
            actions = act(step)
            ours, theirs = vector.step(actions), singles.step(actions)
            assert_same(ours, theirs, f"step {step} before reset {number}")
        seed = None if number < 6 else [7, None, 9]
        both = [dict(options or {}, reset_mask=mask) if number % 2 else options for _ in "ab"]
        ours = vector.reset(seed=seed, options=both[0])
        theirs = singles.reset(seed=seed, options=dict(both[1]) if both[1] else None)
        assert_same(ours, theirs, f"reset {number} with {options}")
    assert vector.total_restores


def test_the_two_halves_of_a_step():
    vector, other = (
        gymnasium.make_vec(
            "mario_envkit:MarioSnapshot-v0",
            3,
            restore="on_reset",
            checkpoint_interval=50,
            num_threads=threads,
        )
        for threads in (2, 1)
    )
    act = walk(3, 7, 4)
    assert_same(vector.reset(seed=3), other.reset(seed=3), "reset")
    for number in range(300):
        actions = act(number)
        vector.step_async(actions)
        assert_same(vector.step_wait(), other.step(actions), f"step {number}")
    assert vector.total_restores


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted there")
def test_closing_ends_the_threads_of_who_still_has_handlers():
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    vector = MarioSnapshotVectorEnv(4, num_threads=4)
    vector.reset(seed=0)
    handler, before = vector.handlers[0], threads()
    vector.close()
    assert threads() < before
    assert handler.total_saves == vector.total_saves == 0
    with pytest.raises(EmulatorClosed, match="make a new one"):
        handler._context.ram.any()
