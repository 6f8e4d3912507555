"""The collector of game metrics: returns, progress, deaths and flags."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from mario_agents.telemetry.episodes import CollectResult, Episode
from mario_agents.telemetry.logger import MetricLogger
from mario_agents.telemetry.schema import MARIO_METRICS

SendDeaths = Callable[[str, list[int], list[int]], bool]
"""Takes a level, and the x and areas of deaths there; False if it could not, and wants them again
later."""
SendOutcomes = Callable[[str, int, int], bool]
"""Takes a level, episodes that ended there, and how many reached their goal; answers as well."""


class MarioCollector:
    """Tracks :data:`~mario_agents.telemetry.schema.MARIO_METRICS`, and passes deaths on.

    Deaths, and what came of episodes in each level, are held back until :meth:`flush`, and on until
    they were taken: each is passed on once.

    Args:
        logger: with the metrics above.
        deaths: takes the deaths.
        outcomes: takes what came of the episodes that are to be shown.
    """

    METRICS = MARIO_METRICS

    def __init__(
        self,
        logger: MetricLogger,
        deaths: SendDeaths | None = None,
        outcomes: SendOutcomes | None = None,
    ) -> None:
        self._logger, self._send, self._send_outcomes = logger, deaths, outcomes
        self._pending: dict[str, list[tuple[int, int]]] = {}
        self._outcomes: dict[str, tuple[int, int]] = {}

    def on_step(self, info: CollectResult) -> None:
        """Count deaths, remember where they were, and track what first lives were like."""
        self._logger.track("deaths", len(info.deaths))
        for life in info.first_lives:
            self._show(life)
        if self._send is not None:
            for death in info.deaths:
                self._pending.setdefault(death.level, []).append((death.x_pos, death.area))

    def on_episode_end(self, info: Episode) -> None:
        """Count flags, and track what an episode that is to be shown was like."""
        track = self._logger.track
        best_x = self._logger.value("best_x")
        track("flags", info.flags)
        track("best_x", info.best_x if math.isnan(best_x) else max(best_x, info.best_x))
        track("x_pos", info.x_pos)
        if info.shown:
            self._show(info)

    def _show(self, info: Episode) -> None:
        track = self._logger.track
        track("reward", info.reward)
        track("episode_length", info.length)
        track("episode_x", info.best_x)
        track("speed", info.best_x / info.length)
        track("success", float(info.success))
        if self._send_outcomes is not None and info.level:
            episodes, successes = self._outcomes.get(info.level, (0, 0))
            self._outcomes[info.level] = episodes + 1, successes + info.success

    def on_train_step(self, metrics: Mapping[str, float]) -> None:
        """Of no interest."""

    def flush(self) -> None:
        """Pass deaths and outcomes on."""
        if self._send is not None:
            for level in list(self._pending):
                positions, areas = map(list, zip(*self._pending[level], strict=True))
                if self._send(level, positions, areas):
                    del self._pending[level]
        if self._send_outcomes is not None:
            for level, outcomes in list(self._outcomes.items()):
                if self._send_outcomes(level, *outcomes):
                    del self._outcomes[level]
