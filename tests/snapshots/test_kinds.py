"""A snapshot is of one kind of environment: what must be the same for it to be restored."""

from __future__ import annotations

import re
import struct
import warnings
import zlib

import gymnasium
import pytest

from mario_envkit.errors import SnapshotMismatch
from mario_envkit.game.rewards import Death, Progress, RewardFunction
from mario_envkit.registration import TRAIN_DEFAULTS, make_mario
from mario_envkit.snapshots import MarioSnapshotVectorEnv, create_snapshot_mario_env
from mario_envkit.snapshots.archive import SUFFIX, ArchiveWarning, SnapshotArchive
from mario_envkit.snapshots.context import Context
from mario_envkit.snapshots.entry import FORMAT_VERSION
from mario_envkit.snapshots.wrapper import SnapshotMarioEnvironment

BRIGHT = RewardFunction((Progress(), Death(-20)), scale=0.5, clip=(-1, 1))

# Options of the environment that took the snapshot and of the one that meets it; what is named.
DIFFERENT = {
    "palette": ({}, {"palette": "contrast"}, "palette='luma' there and 'contrast' here"),
    "crop_top": ({"crop_top": 32}, {}, "crop_top=32 there and 0 here"),
    "screen_size": ({}, {"screen_size": (84, 80)}, r"screen_size=(84, 84) there and (84, 80) here"),
    "grayscale": ({}, {"grayscale": False}, "grayscale=True there and False here"),
    "observation": ({}, {"observation": "tiles", "screen_size": None, "grayscale": False},
                    "observation='pixels' there and 'tiles' here"),
    "frame_skip": ({}, {"frame_skip": 2}, "frame_skip=4 there and 2 here"),
    "max_pool": ({}, {"max_pool": True}, "max_pool=False there and True here"),
    "frame_stack": ({}, {"frame_stack": 2}, "frame_stack=4 there and 2 here"),
    "actions": ({}, {"actions": "right_only"}, "'A', 'LEFT') there and ('NOOP', 'RIGHT',"),
    "reward": ({}, {"reward": "v9"}, "Distance(name='distance', weight=1)"),
    "scale": ({"reward": BRIGHT},
              {"reward": RewardFunction(BRIGHT.terms, scale=0.25, clip=(-1, 1))}, "scale=0.25"),
    "clip": ({"reward": BRIGHT}, {"reward": RewardFunction(BRIGHT.terms, scale=0.5)}, "clip=None"),
    "a term": ({"reward": BRIGHT},
               {"reward": RewardFunction((Progress(), Death(-21)), 0.5, (-1, 1))}, "penalty=-21"),
    "timing": ({}, {"timing": "nes-py"}, "'native/console' and cannot be loaded into"),
}  # fmt: skip

SAME = {
    "names of actions": ({}, {"actions": [["NOOP"], ["right"], ["right", "A"], ["right", "B"],
                                          ["right", "A", "B"], ["A"], ["left"]]}),
    "a composed reward": ({"reward": BRIGHT}, {"reward": RewardFunction(
        (Progress(), Death(-20.0)), scale=0.5, clip=(-1.0, 1.0))}),
    "noop_max": ({"noop_max": 30}, {}),
    "level": ({}, {"level": ["1-1", "1-2"]}),
    "stall_limit": ({"stall_limit": 100}, {"stall_limit": 50}),
    "stickiness": ({"repeat_action_probability": 0.25}, {"repeat_action_probability": 0.1}),
    "sticky frames": ({"repeat_frame_probability": 0.25}, {"repeat_frame_probability": 0.1}),
    "blankness": ({"blank_probability": 0.25}, {"blank_probability": 0.5}),
}  # fmt: skip


def archive_of(options, directory=None) -> SnapshotArchive:
    """An archive with a snapshot that an environment with ``options`` has taken."""
    archive = SnapshotArchive()
    env = create_snapshot_mario_env(checkpoint_interval=10, archive=archive, **options)
    env.reset(seed=0)
    while not len(archive):
        env.step(1)
    if directory is not None:
        archive.save(directory)
    return archive


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_kind_of_environment_refuses_it(name, tmp_path):
    taken_with, met_by, says = DIFFERENT[name]
    archive = archive_of(taken_with, tmp_path)
    for given in (archive, tmp_path):
        with pytest.raises(SnapshotMismatch, match=re.escape(says)):
            create_snapshot_mario_env(archive=given, **met_by)
    with pytest.raises(SnapshotMismatch, match=re.escape(says)):
        MarioSnapshotVectorEnv(2, archive=archive, **met_by)
    (entry,) = archive
    env = make_mario(**{**TRAIN_DEFAULTS, **met_by})
    env.reset(seed=0)
    with pytest.raises(SnapshotMismatch, match=re.escape(says)):
        Context(env).load(entry.saved)


@pytest.mark.parametrize("name", SAME)
def test_what_may_differ(name, tmp_path):
    taken_with, met_by = SAME[name]
    archive_of(taken_with, tmp_path)
    env = create_snapshot_mario_env(archive=tmp_path, **met_by)
    (entry,) = env.handler.archive
    env.reset(seed=0)
    Context(env.env).load(entry.saved)
    env.close()


class Halved(gymnasium.RewardWrapper):
    """A wrapper of somebody's own, which says its arguments itself."""

    def __init__(self, env, share):
        super().__init__(env)
        self.share = share

    def reward(self, reward):
        return reward * self.share

    def save_context(self):
        return ()

    def load_context(self, values):
        pass

    def snapshot_arguments(self):
        return {"share": self.share}


@pytest.mark.parametrize(
    ("wrapper", "there", "here", "says"),
    [
        (gymnasium.wrappers.ClipReward, {"max_reward": 1}, {"max_reward": 5},
         "ClipReward.max_reward=1 there and 5 here"),
        (gymnasium.wrappers.ResizeObservation, {"shape": (20, 30)}, {"shape": (20, 31)},
         "ResizeObservation.shape=(20, 30) there and (20, 31) here"),
        (Halved, {"share": 0.5}, {"share": 0.25}, "share=0.5 there and 0.25 here"),
    ],
)  # fmt: skip
def test_arguments_of_other_wrappers(wrapper, there, here, says):
    archive = SnapshotArchive()
    options = {**TRAIN_DEFAULTS, "frame_stack": 1}
    env = SnapshotMarioEnvironment(
        wrapper(make_mario(**options), **there), checkpoint_interval=10, archive=archive
    )
    env.reset(seed=0)
    while not len(archive):
        env.step(1)
    with pytest.raises(SnapshotMismatch, match=re.escape(says)):
        SnapshotMarioEnvironment(wrapper(make_mario(**options), **here), archive=archive)


def test_two_layers_of_one_class_the_other_way_round():
    def made(inner, outer, **kwargs):
        options = {**TRAIN_DEFAULTS, "frame_stack": 1}
        env = Halved(Halved(make_mario(**options), inner), outer)
        return SnapshotMarioEnvironment(env, **kwargs)

    archive = SnapshotArchive()
    env = made(0.5, 0.25, checkpoint_interval=10, archive=archive)
    env.reset(seed=0)
    while not len(archive):
        env.step(1)
    with pytest.raises(SnapshotMismatch, match=re.escape("share=0.5, 0.25 there and 0.25, 0.5")):
        made(0.25, 0.5, archive=archive)


def test_files_of_another_version_are_passed_over_with_one_sentence(tmp_path):
    archive = archive_of({}, tmp_path)
    (entry,) = archive
    raw = bytearray(entry.to_bytes()[:-4])
    struct.pack_into("<H", raw, 4, FORMAT_VERSION - 1)
    old = bytes(raw) + struct.pack("<I", zlib.crc32(raw))
    for number in range(200):
        (tmp_path / f"1-1_{number}{SUFFIX}").write_bytes(old)
    with pytest.warns(ArchiveWarning, match="200 snapshots in .* another version") as caught:
        read = SnapshotArchive.load(tmp_path)
    assert len(caught) == 1
    assert "delete these files" in str(caught[0].message)
    assert [e.place for e in read] == [entry.place]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read.update(tmp_path) == 0, "said once is enough"
    with pytest.raises(SnapshotMismatch, match="another version of mario-envkit"):
        type(entry).from_bytes(old)
