"""How often the flag was reached, level by level."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mario_agents.report.figures import Bar, Series
from mario_agents.report.rundata import RunData
from mario_agents.report.tables import Curve
from mario_agents.run.records import PlayedEpisode
from mario_agents.stats import wilson_interval


@dataclass(frozen=True)
class LevelSuccess:
    """Episodes of one level under one condition.

    Attributes:
        source: where they are from, such as "eval, greedy-sticky".
        low, high: 95 % Wilson interval of the success rate.
        mean_x: mean farthest x, pixels.
        endings: how they ended, the most frequent first.
    """

    run: str
    level: str
    source: str
    episodes: int
    wins: int
    low: float
    high: float
    mean_x: float
    endings: str

    @property
    def rate(self) -> float:
        """Share of episodes that reached the flag."""
        return self.wins / self.episodes


def level_success(run: RunData) -> list[LevelSuccess]:
    """By ``mario-agents eval`` if the run was measured so; else by its best evaluation."""
    rows: list[LevelSuccess] = []
    for conditions in run.standard.values():
        for name, episodes in conditions.items():
            rows += _by_level(run.name, f"eval, {name}", episodes)
    if rows or not run.evaluations:
        return rows
    # max() takes the first of equals; the later one has learned from more.
    best = max(
        reversed(run.evaluations),
        key=lambda e: sum(p.success for p in (*e.plain, *e.sticky)),
    )
    while_training = f"at step {best.step:,}"
    rows += _by_level(run.name, f"{while_training}, plain", best.plain)
    return rows + _by_level(run.name, f"{while_training}, sticky", best.sticky)


def success_bars(rows: Sequence[LevelSuccess], runs: Sequence[str]) -> list[Bar]:
    """The rows as bars, one color a run."""
    several = len(runs) > 1
    return [
        Bar(
            f"{row.run + ': ' if several else ''}{row.level} {row.source.rpartition(', ')[2]}",
            row.rate,
            row.low,
            row.high,
            runs.index(row.run),
        )
        for row in rows
    ]


def evaluation_series(run: RunData, color: int, *, several: bool) -> list[Series]:
    """Success of a run's evaluations over steps, plain and sticky.

    With 95 % Wilson intervals, unless ``several`` runs share the figure, where they would only
    hide each other.
    """
    series = []
    for dashes, kind in enumerate(("plain", "sticky")):
        played = [(e.step, getattr(e, kind)) for e in run.evaluations if getattr(e, kind)]
        if not played:
            continue
        wins = [sum(p.success for p in episodes) for _, episodes in played]
        counts = [len(episodes) for _, episodes in played]
        curve = Curve(np.array([step for step, _ in played], float), np.divide(wins, counts))
        if several:
            series.append(Series(f"{run.name}, {kind}", curve, color, dashes))
            continue
        bounds = np.array([wilson_interval(*pair) for pair in zip(wins, counts, strict=True)])
        series.append(Series(kind, curve, color, dashes, bounds[:, 0], bounds[:, 1]))
    return series


def _by_level(run: str, source: str, episodes: Iterable[PlayedEpisode]) -> list[LevelSuccess]:
    levels: defaultdict[str, list[PlayedEpisode]] = defaultdict(list)
    for episode in episodes:
        levels[episode.level].append(episode)
    rows = []
    for level, played in sorted(levels.items()):
        wins = sum(p.success for p in played)
        endings = Counter(p.ending for p in played).most_common()
        rows.append(
            LevelSuccess(
                run,
                level,
                source,
                len(played),
                wins,
                *wilson_interval(wins, len(played)),
                sum(p.best_x for p in played) / len(played),
                ", ".join(f"{name} {count}" for name, count in endings),
            )
        )
    return rows
