"""Copies and pickles of vector environments: every game goes on as it would have."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import AlreadyPendingCallError
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_envkit import MarioVectorEnv
from mario_envkit.curriculum.schedule import Sequential
from mario_envkit.errors import EmulatorClosed
from mario_envkit.game.levels import Level
from mario_envkit.game.rewards import Death, Progress, RewardFunction
from mario_envkit.snapshots import MarioSnapshotVectorEnv, SnapshotArchive
from tests.kit.test_copies import ALL, WAYS, said
from tests.waiting import PATIENCE

ENVS = 3


class Squared(Progress):
    """A reward that only Python knows."""

    def __call__(self, memory, state):
        gained, memory = super().__call__(memory, state)
        return gained * gained, memory


VECTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "pixels": ("MarioTrain-v0", {"max_episode_steps": 70, "level": "random"}),
    "every option": ("MarioTrain-v0", {**ALL, "autoreset_mode": "SameStep", "copy": False}),
    "tiles, in Python": (
        "MarioTiles-v0",
        {"reward": RewardFunction((Squared(), Death())), "noop_max": 5, "level": "sequential"},
    ),
    "snapshots": ("MarioSnapshot-v0", {"checkpoint_interval": 60, "max_episode_steps": 90}),
    "snapshots at resets": (
        "MarioSnapshot-v0",
        {**ALL, "restore": "on_reset", "start_states": 0.5, "level": "on-success:1-1..1-2",
         "checkpoint_interval": 40, "autoreset_mode": "SameStep"},
    ),
}  # fmt: skip


def begun(name: str) -> Any:
    env_id, options = VECTORS[name]
    envs = gymnasium.make_vec(env_id, num_envs=ENVS, num_threads=2, **options)
    envs.reset(seed=3)
    return envs


def act(envs: Any, number: int) -> str:
    """A step whose actions ``number`` decides."""
    actions = np.random.default_rng(number).choice([1, 2, 3, 4, 1, 3], ENVS)
    return said(envs.step(actions))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.slow
def test_all_games_go_on_alike(name, way):
    envs = begun(name)
    for number in range(100):
        act(envs, number)
    other = WAYS[way](envs)
    expected = [act(envs, number) for number in range(100, 250)]
    assert [act(other, number) for number in range(100, 250)] == expected
    assert said(other.reset()) == said(envs.reset())


@pytest.mark.parametrize("name", VECTORS)
@settings(max_examples=4)
@given(
    st.lists(
        st.tuples(st.sampled_from(["step", *sorted(WAYS)]), st.integers(1, 40)),
        min_size=3,
        max_size=8,
    )
)
@pytest.mark.slow
def test_a_copy_of_a_copy_is_none_the_worse(name, operations):
    never_copied, envs = begun(name), begun(name)
    number = 0
    for what, count in operations:
        if what == "step":
            for _ in range(count):
                number += 1
                assert act(envs, number) == act(never_copied, number)
        else:
            left, envs = envs, WAYS[what](envs)
            for other in range(1000, 1000 + count):
                act(left, other)


def test_in_another_process():
    envs = begun("snapshots at resets")
    for number in range(60):
        act(envs, number)
    code = (
        "import pickle, sys\n"
        "from tests.native.test_pool_copies import act\n"
        "envs = pickle.loads(sys.stdin.buffer.read())\n"
        "sys.stdout.write(''.join(act(envs, number) for number in range(100)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(envs), capture_output=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.stdout.decode() == "".join(act(envs, number) for number in range(100))


@pytest.mark.parametrize("way", WAYS)
def test_those_that_were_never_reset_or_are_over(way):
    fresh = WAYS[way](MarioVectorEnv(2, level="1-2"))
    with pytest.raises(gymnasium.error.ResetNeeded):
        fresh.step([0, 0])
    assert said(fresh.reset(seed=1)) == said(MarioVectorEnv(2, level="1-2").reset(seed=1))
    envs = MarioVectorEnv(2, max_episode_steps=5, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0)
    for _ in range(5):
        envs.step([128, 0])
    other = WAYS[way](envs)
    with pytest.raises(gymnasium.error.ResetNeeded, match="are over"):
        other.step([0, 0])
    only = {"reset_mask": np.array([True, False])}
    assert said(other.reset(options=only)) == said(envs.reset(options=only))
    envs.close()
    with pytest.raises(EmulatorClosed):
        WAYS[way](envs).reset()


def test_not_in_the_middle_of_a_step():
    envs = MarioVectorEnv(2)
    envs.reset(seed=0)
    envs.step_async([0, 0])
    with pytest.raises(AlreadyPendingCallError, match="before a copy"):
        copy.deepcopy(envs)
    envs.step_wait()
    copy.deepcopy(envs).close()


def test_what_games_share_their_copies_share():
    schedule = Sequential([Level(1, 1), Level(1, 2), Level(1, 3)])
    envs = MarioVectorEnv(2, levels=[schedule] * 2)
    envs.reset(seed=0)
    other = copy.deepcopy(envs)
    assert other.reset()[1]["level"].tolist() == envs.reset()[1]["level"].tolist() == ["1-3", "1-1"]
    archive = SnapshotArchive()
    envs = MarioSnapshotVectorEnv(2, archive=archive, checkpoint_interval=30)
    envs.reset(seed=0)
    for number in range(40):
        act_two = np.random.default_rng(number).choice([1, 2, 3, 4], 2)
        envs.step(act_two)
    other = pickle.loads(pickle.dumps(envs))
    first, second = (handler.archive for handler in other.handlers)
    assert first is second is not archive
    assert [e.place for e in first] == [e.place for e in archive]


def test_a_copy_is_as_small_as_what_it_is_of():
    envs = MarioVectorEnv(8)
    envs.reset(seed=0)
    picture = 240 * 256 * 3
    assert len(pickle.dumps(envs)) < 8 * 3 * picture
    other = pickle.loads(pickle.dumps(envs))
    assert other.observation_space.low.strides == (0, 0, 0, 0)
