"""What may be built into a vector of games from outside: snapshots, for instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class VectorHooks:
    """What :class:`~mario_envkit.vector.MarioVectorEnv` calls on its way; these do nothing.

    Derive from this class and assign an object of it to ``envs.hooks``. Every call comes from the
    thread that steps or resets the games, which has ``envs.step_lock``; the games are at rest then.
    Hooks read and change the games by ``envs.pool`` and ``envs.slots``, and by the attributes of
    ``envs`` that are documented there. A copy of the vector takes a copy of its hooks along.
    """

    def replace_reset(self, env: int, seed: int | None, options: dict[str, Any] | None) -> bool:
        """Put a game that is to begin an episode where it begins, instead of a reset.

        Args:
            env: number of the game.
            seed, options: of the reset, as for a single environment; None in an autoreset.

        Returns:
            Whether it was put there: observation and info are those of the pool then. If not, the
            reset is ordered, and :meth:`replace_start` is called.
        """
        return False

    def replace_start(self, env: int, seed: int | None, options: dict[str, Any] | None) -> bool:
        """As :meth:`replace_reset`, after random numbers were seeded and a level was drawn."""
        return False

    def after_resets(self) -> None:
        """The episodes that were to begin have begun."""

    def after_step(
        self,
        observations: NDArray[np.uint8],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> None:
        """The games made a step, and those that ``envs.over`` tells began an episode in it.

        Args:
            observations: ``(num_envs, ...)``; may be changed, as the next two.
            terminated, truncated: ``(num_envs,)``.
        """

    def extend_infos(self, infos: dict[str, Any], only: NDArray[np.bool_] | None) -> None:
        """Change the infos of a step or reset, which share nothing with others.

        Args:
            infos: of all games.
            only: ``(num_envs,)``, the games that they speak of; None for all.
        """

    def attributes(self) -> dict[str, Callable[..., tuple[Any, ...]]]:
        """What the games can be asked for one by one, beside what ``envs.call`` knows."""
        return {}

    def close(self) -> None:
        """The games are about to be closed."""
