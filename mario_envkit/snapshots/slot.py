"""One game of a vector environment, saved and restored as if it were a single environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.wrappers import StickyAction
from numpy.typing import NDArray

from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.game.levels import Level
from mario_envkit.snapshots.context import (
    Context,
    Saved,
    Values,
    load_noise,
    load_sticky,
    save_noise,
    save_sticky,
)

if TYPE_CHECKING:
    from mario_envkit.vector.chance import StickyFrames
    from mario_envkit.vector.env import MarioVectorEnv
    from mario_envkit.vector.pool import GamePool

_NOT_STALLED: Values = ("0-0", 0), 0, 0


class Slot:
    """A :class:`~mario_envkit.snapshots.context.Restorable`: its values are those of the wrappers.

    So a snapshot loads into a single environment with the same arguments, and the other way round.

    Args:
        index: number of the game.
        pool: the games.
        single: such a single environment: which layers it has, and what fits it.
        chance: the environment that the game's random numbers are drawn from.
        sticky_action: the layer of sticky actions around that, if there are such.
        sticky_frames: those of all games, if there are such.
        levels: in which level each game's episode began; None is the full game.
    """

    def __init__(
        self,
        index: int,
        pool: GamePool,
        single: Context,
        chance: gymnasium.Env[Any, Any],
        sticky_action: StickyAction[Any, Any] | None,
        sticky_frames: StickyFrames | None,
        levels: list[Level | None],
    ) -> None:
        self._index = index
        self._pool = pool
        self._single = single
        self._chance = chance
        self._sticky_action = sticky_action
        self._sticky_frames = sticky_frames
        self._levels = levels

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """That of a single environment."""
        return self._single.observation_space

    @property
    def level(self) -> Level | None:
        """The stage of the game's episode; None is the full game."""
        return self._levels[self._index]

    @property
    def ram(self) -> NDArray[np.uint8]:
        """A copy of the console's work RAM."""
        return self._pool.ram(self._index)

    def save(self) -> Saved:
        """The game as it is, between two steps."""
        return self.save_with_steps()[0]

    def save_with_steps(self) -> tuple[Saved, int]:
        """The game, and the steps since its episode began, which the pool's time limit counts."""
        game = self._pool.save(self._index)
        _, _, frames, world, stage, seen, cleared, *far = game.progress[:-3]
        *_, best_x, stalled, elapsed = game.progress
        level = self._levels[self._index]
        remembered: dict[str, Values] = {
            "MarioEnv": (
                None if level is None else tuple(level),
                frames,
                ((world, stage), bool(seen), cleared),
                game.memory,
            ),
            "StallLimit": ((f"{far[0]}-{far[1]}", far[2]), best_x, stalled),
            "FrameStackObservation": tuple(game.stack),
        }
        if self._sticky_action is not None:
            remembered["StickyAction"] = save_sticky(self._sticky_action)
        if self._sticky_frames is not None:
            remembered["FrameSkip"] = (int(self._sticky_frames.held[self._index]),)
        saved = Saved(
            Snapshot(self._single.core, self._single.rom_sha256, game.machine),
            save_noise(self._chance.np_random),
            tuple((name, remembered.get(name, ())) for name in self._single.names),
            self._single.kind,
        )
        return saved, elapsed

    def load(self, saved: Saved, *, noise: bool = True, elapsed: int = 0) -> None:
        """Become what was saved, but for the observation, which is the pool's to put back.

        ``elapsed`` are the steps since the episode began, for the pool's time limit.

        Raises:
            SnapshotMismatch: if it was saved from another console or other wrappers; nothing has
                changed then.
        """
        self.check(saved)
        remembered = dict(saved.layers)
        level, frames, (stage, seen, cleared), memory = remembered["MarioEnv"]
        (far, area), best_x, stalled = remembered.get("StallLimit", _NOT_STALLED)
        progress = (
            *(level or (0, 0)), frames, *stage, seen, cleared,
            *map(int, far.split("-")), area, best_x, stalled, elapsed,
        )  # fmt: skip
        self._pool.load(self._index, saved.console.data, progress, memory)
        self._levels[self._index] = None if level is None else Level(*level)
        if self._sticky_action is not None:
            load_sticky(self._sticky_action, remembered["StickyAction"])
        if self._sticky_frames is not None:
            (self._sticky_frames.held[self._index],) = remembered["FrameSkip"]
        if noise:
            load_noise(self._chance.np_random, saved.noise)

    def observation_of(self, saved: Saved) -> NDArray[np.uint8]:
        """What was seen when ``saved`` was; without a frame stack, of its last frame alone."""
        stack = dict(saved.layers).get("FrameStackObservation")
        if stack is not None:
            return np.stack(stack)
        self._single.load(saved, noise=False)
        return self._single.observe()

    def check(self, saved: Saved) -> None:
        """Check that ``saved`` is of the same console and the same wrappers.

        Raises:
            SnapshotMismatch: if not.
        """
        self._single.check(saved)


def slots_of(envs: MarioVectorEnv) -> tuple[Slot, ...]:
    """The games of a vector environment, one by one, as values."""
    single = Context(envs.single)
    chances = envs.chances
    layers, frames = chances.sticky_actions, chances.sticky_frames
    return tuple(
        Slot(i, envs.pool, single, chance, layers[i] if layers else None, frames, envs.levels)
        for i, chance in enumerate(chances.games)
    )
