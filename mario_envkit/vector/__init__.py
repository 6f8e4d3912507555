"""Many games at once, in one process, stepped by native threads."""

from mario_envkit.vector.cores import available_cores
from mario_envkit.vector.env import MarioVectorEnv

__all__ = ["MarioVectorEnv", "available_cores"]
