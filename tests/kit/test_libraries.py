"""Other libraries run on the environments as they are; what they need is checked without them, too.

Stable-Baselines3 is in ``test_sb3.py``; training with each of them is in ``tests/conformance``.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

from mario_envkit.errors import OptionError, UnknownArgument
from mario_envkit.integrations.rllib import RLlibEnv

GAME: dict[str, Any] = {"level": "1-1", "screen_size": 42, "reward": "progress"}


def test_importing_the_kit_imports_no_library():
    code = (
        "import sys, mario_envkit, mario_envkit.integrations, mario_envkit.integrations.rllib; "
        "print([name for name in ('torch', 'stable_baselines3', 'ray', 'tianshou', 'torchrl', "
        "'minari', 'pygame') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- RLlib -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (None, (84, 84, 4)),
        ({"screen_size": 42, "level": "1-2"}, (42, 42, 4)),
        ({"frame_stack": 1, "grayscale": False, "screen_size": None}, (240, 256, 3)),
        ({"frame_stack": 2, "grayscale": False}, (84, 84, 6)),
        ({"frame_stack": 1}, (84, 84, 1)),
        ({"id": "MarioTiles-v0"}, (16, 16, 2)),
        ({"id": "MarioTiles-v0", "frame_stack": 1}, (16, 16, 1)),
        ({"observation": "ram", "frame_stack": 1}, (2048,)),
        ({"observation": "ram", "frame_stack": 2}, (4096,)),
        ({"id": "MarioSnapshot-v0", "restore": "on_reset"}, (84, 84, 4)),
    ],
    ids=str,
)
def test_rllib_gets_floats_with_channels_last(config, shape):
    env = RLlibEnv(config)
    assert env.observation_space.shape == shape
    assert env.observation_space.dtype == np.float32
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert observation.dtype == np.float32
    bare = gymnasium.make(**{"id": "MarioTrain-v0", **(config or {})})
    raw, _ = bare.reset(seed=0)
    for action in (1, 1, 3):
        observation, raw = env.step(action)[0], bare.step(action)[0]
        assert observation in env.observation_space
    assert observation.max() == np.float32(raw.max() / 255)
    if len(shape) == 3 and raw.ndim == 3 and raw.shape[-1] != 3:
        assert np.allclose(observation[..., -1] * 255, raw[-1])  # the newest picture
    env.close()
    bare.close()


def test_rllib_configurations_that_are_wrong():
    with pytest.raises(OptionError, match="config=5 is not possible"):
        RLlibEnv(5)
    with pytest.raises(OptionError, match="did you mean 'level'"):
        RLlibEnv({"levl": "1-1"})
    with pytest.raises(OptionError, match="are not bytes"):
        RLlibEnv({"id": "CartPole-v1"})


# -- TorchRL -----------------------------------------------------------------------------------


def test_an_unknown_keyword_is_the_type_error_that_torchrl_reads():
    """Its ``GymEnv`` tries keywords, and leaves those out of which it hears this."""
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as raised:
            make("MarioTrain-v0", frameskip=1)
        assert isinstance(raised.value, UnknownArgument)


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_numeric_infos_have_what_torchrl_reads_of_them(restore):
    env = gymnasium.make("MarioSnapshot-v0", numeric_info=True, restore=restore)
    for value in env.reset(seed=0)[1].values():
        assert value.dtype != object  # a ``dtype`` at all, and not this
    env.close()
