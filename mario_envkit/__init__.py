"""Super Mario Bros for people who train agents.

Importing this package registers its environments with Gymnasium::

    import gymnasium
    import mario_envkit

    env = gymnasium.make("MarioTrain-v0", level="1-1")
"""

from importlib.metadata import version

from mario_envkit.clone import EnvState, clone_state, restore_state
from mario_envkit.emulator import Buttons, Picture, Snapshot
from mario_envkit.env import MarioEnv
from mario_envkit.errors import MarioEnvkitError
from mario_envkit.game.rewards import RewardFunction
from mario_envkit.registration import make_mario, register_envs, register_legacy_ids
from mario_envkit.snapshots import SnapshotMarioEnvironment, create_snapshot_mario_env
from mario_envkit.vector import MarioVectorEnv

__version__ = version("mario-envkit")

__all__ = [
    "Buttons",
    "EnvState",
    "MarioEnv",
    "MarioEnvkitError",
    "MarioVectorEnv",
    "Picture",
    "RewardFunction",
    "Snapshot",
    "SnapshotMarioEnvironment",
    "clone_state",
    "create_snapshot_mario_env",
    "make_mario",
    "register_legacy_ids",
    "restore_state",
]

register_envs()
