"""Playing environments and writing down everything they say."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from mario_envkit.registration import TRAIN_DEFAULTS, make_mario
from mario_envkit.snapshots.context import Context

STACKS: dict[str, dict[str, Any]] = {
    "train": {},
    "everything": {
        "repeat_action_probability": 0.25, "noop_max": 8, "stall_limit": 12, "max_pool": True,
        "reward": "v9", "crop_top": 32, "screen_size": (52, 64), "level": ["1-1", "1-2", "8-4"],
    },
    "full game": {"level": "full", "reward": "progress", "stall_limit": 500},
    "colour, no stack, as nes-py": {
        "frame_stack": 1, "grayscale": False, "screen_size": None, "timing": "nes-py",
        "frame_skip": 1, "actions": "raw",
    },
    "buttons": {
        "observation": "tiles", "show_buttons": True, "show_level": True, "max_pool": False,
        "repeat_action_probability": 0.5,
    },
    "sticky frames": {"repeat_action_probability": 0.25, "repeat_frame_probability": 0.5},
    "memory": {"observation": "ram", "frame_stack": 2, "level": "7-4"},
    "lost levels": {"game": "lost_levels", "repeat_action_probability": 0.5},
}  # fmt: skip


def make(name: str, *, steps: int | None = None) -> gymnasium.Env[Any, Any]:
    """The stack ``name``, with a time limit of ``steps``."""
    env = make_mario(**{**TRAIN_DEFAULTS, **STACKS[name]})
    return env if steps is None else gymnasium.wrappers.TimeLimit(env, steps)


def draw_action(env: gymnasium.Env[Any, Any], rng: np.random.Generator) -> int:
    """Mostly to the right, with jumps: deaths, pipes and new ground."""
    if rng.random() < 0.3:
        return int(rng.integers(env.action_space.n))
    # Joypad bytes, or the "simple" actions: right, and right with A.
    return int(rng.choice([128, 129, 131] if env.action_space.n == 256 else [1, 2, 3, 4]))


def play(env: gymnasium.Env[Any, Any], actions: list[int]) -> list[Any]:
    """Everything that ``env`` says, and the console's memory, up to the end of the episode."""
    game = Context(env)
    said = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        ram = game.ram.tobytes()
        said.append((observation.tobytes(), reward, terminated, truncated, info, ram))
        if terminated or truncated:
            break
    return said


def run(env: Any, steps: int, seed: int = 0) -> list[Any]:
    """``(observation, reward, terminated, truncated, info)`` of every step; resets included."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    said = [(observation, 0.0, False, False, info)]
    for _ in range(steps):
        said.append(env.step(draw_action(env, rng)))
        if said[-1][2] or said[-1][3]:
            observation, info = env.reset()
            said.append((observation, 0.0, False, False, info))
    return said


def play_to_death(env: Any) -> None:
    """Walk until the episode ends with a death."""
    for _ in range(400):
        *_, terminated, _, info = env.step(1)  # right, into the first enemy
        if terminated:
            assert info["died"]
            return
    pytest.fail("walking right on 1-1 ends in the first enemy")
