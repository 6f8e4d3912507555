"""Which actions environments take, and when."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import mario_envkit
from mario_envkit.emulator import native
from mario_envkit.emulator.backends import available_backends, make_emulator
from mario_envkit.emulator.rom import find_rom
from mario_envkit.errors import OptionError

NOT_ACTIONS = [
    -1, 256, 2**70, np.int64(-1), np.uint64(2**63), 2.0, 2.7, np.float32(1), "4", b"4", None, True,
    np.True_, [1], (1,), np.array([1]), np.array([[1]]), np.array(1.0), np.array(True),
    np.array(None), {}, 1j,
]  # fmt: skip
ACTIONS = [3, np.int64(3), np.uint8(3), np.array(3), np.array(3, np.uint64)]

ENVS = {
    "game": {"frame_skip": 1, "actions": "raw"},
    "skip": {"actions": "raw"},
    "names": {},
    "no-ops": {"noop_max": 3},
    "sticky": {"repeat_action_probability": 0.99},
    "sticky joypad": {"repeat_action_probability": 0.99, "actions": "raw", "frame_skip": 1},
}


def make(kwargs, backend="native"):
    return gymnasium.make("MarioTrain-v0", disable_env_checker=True, backend=backend, **kwargs)


@pytest.mark.parametrize("kwargs", ENVS.values(), ids=list(ENVS))
def test_what_is_no_action_is_refused_and_changes_nothing(kwargs):
    env, other = make(kwargs), make(kwargs)
    env.reset(seed=0)
    other.reset(seed=0)
    for _ in range(3):
        env.step(1)
        other.step(1)
    for action in [*NOT_ACTIONS, env.action_space.n]:
        with pytest.raises(OptionError, match=rf"integer from 0 to {env.action_space.n - 1}\.$"):
            env.step(action)
    assert env.unwrapped.draw
    for action in ACTIONS:
        np.testing.assert_equal(env.step(action), other.step(3))


def test_a_snapshot_environment_asks_for_the_same():
    env = gymnasium.make("MarioSnapshot-v0", repeat_action_probability=0.9)
    env.reset(seed=0)
    for action in NOT_ACTIONS:
        with pytest.raises(OptionError, match="integer from 0 to 6"):
            env.step(action)
    assert env.step(np.int64(3))[4]["frame"] == 4


def test_the_reference_backend_asks_for_the_same():
    if "nes-py" not in available_backends():
        pytest.skip("nes-py is not installed")
    env = make({"actions": "raw", "frame_skip": 1}, backend="nes-py")
    env.reset(seed=0)
    for action in NOT_ACTIONS:
        with pytest.raises(OptionError, match="integer from 0 to 255"):
            env.step(action)
    assert env.step(np.uint8(3))[4]["frame"] == 1
    env.close()


@pytest.mark.parametrize("backend", available_backends())
def test_consoles_hold_joypad_bytes_only(backend):
    emulator = make_emulator(find_rom(), backend)
    for buttons in NOT_ACTIONS:
        with pytest.raises(OptionError, match="joypad byte"):
            emulator.step(buttons)
    for frames in (0, -1, 1.5, "2", None, True, 2**31):
        with pytest.raises(OptionError, match="one frame or more"):
            emulator.step(0, frames)
    emulator.step(np.uint8(1), np.int64(2))
    emulator.close()


@pytest.mark.skipif(not native.is_available(), reason="the native core is not built")
@pytest.mark.parametrize(
    "actions",
    [
        [0, 7], [-1, 0], [0], [[0, 0]], [[0], [0, 1]], [0.0, 1.0], 3, "12", None, [None, 0],
        [True, False], [0, 2**70], np.array([0, 1], object), np.array([0, 2**63], np.uint64),
        {0: 1}, ["0", "1"],
    ],
    ids=str,
)  # fmt: skip
def test_a_vector_asks_for_one_integer_each(actions):
    env, other = gymnasium.make_vec("MarioTrain-v0", 2), gymnasium.make_vec("MarioTrain-v0", 2)
    env.reset(seed=0)
    other.reset(seed=0)
    for call in (env.step, env.step_async):
        with pytest.raises(OptionError, match="give"):
            call(actions)
    np.testing.assert_equal(env.step(np.array([1, 2], np.uint8)), other.step([1, 2]))


@pytest.mark.parametrize("kwargs", ENVS.values(), ids=list(ENVS))
def test_nothing_is_stepped_before_a_reset_nor_after_the_end(kwargs):
    env = make(kwargs)
    game = env.unwrapped
    with pytest.raises(mario_envkit.errors.ResetRequired, match=r"call\s+reset\(\) first"):
        game.step(0)
    env.reset(seed=0)
    terminated = False
    right = 128 if kwargs.get("actions") == "raw" else 1
    while not terminated:
        *_, terminated, _, info = env.step(right)
    assert info["died"]
    ram = game.emulator.ram.tobytes()
    for _ in range(2):
        with pytest.raises(ResetNeeded) as caught:
            env.step(right)
        assert isinstance(caught.value, mario_envkit.MarioEnvkitError)
    assert game.emulator.ram.tobytes() == ram
    assert game.draw
    env.reset()
    assert not env.step(right)[2]


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_snapshots_go_on_after_a_death_and_not_after_the_end(restore):
    env = gymnasium.make(
        "MarioSnapshot-v0", restore=restore, checkpoint_interval=60, backend="native"
    )
    env.reset(seed=0)
    restores = 0
    for _ in range(600):
        *_, terminated, truncated, info = env.step(1)
        restores += info["snapshot_restored"]
        if terminated or truncated:
            with pytest.raises(ResetNeeded):
                env.step(1)
            restores += env.reset()[1]["snapshot_restored"]
            env.step(1)
    assert restores > 1
