"""Chance in a vector is that of single environments."""

from __future__ import annotations

from typing import Any

import gymnasium


class Chance(gymnasium.Env[Any, Any]):
    """The random numbers of one environment, drawn as a single environment draws them.

    An environment without a game, so that Gymnasium's own seeding and wrappers serve a vector too.
    """

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Seed the generator, if there is a seed."""
        super().reset(seed=seed)
        return None, {}
