"""Success rates with confidence intervals, by level."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mario_agents.evaluation.intervals import wilson_interval
from mario_agents.report.figures import Bar, Series
from mario_agents.report.rundata import RunData
from mario_agents.report.tables import Curve
from mario_agents.run.records import PlayedEpisode

FULL_GAME = "full"
"""As an option and as a row: the whole game."""


@dataclass(frozen=True)
class LevelSuccess:
    """Episodes of one level, or of the full game, under one condition.

    Attributes:
        wins: episodes that reached their goal: the flag, or in the full game the last axe.
        source: where they are from, such as "eval, greedy-sticky".
        low, high: 95 % Wilson interval of the success rate.
        mean_x: mean farthest x, pixels.
        endings: how they ended, the most frequent first; of the full game with the stages cleared.
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
    for place, conditions in run.standard.items():
        for name, episodes in conditions.items():
            rows += _by_level(run.name, f"eval, {name}", episodes, full_game=place == FULL_GAME)
    if rows or not run.evaluations:
        return rows
    # max() takes the first of equals; the later one has learned from more.
    best = max(
        [e for e in reversed(run.evaluations) if e.confirmed] or reversed(run.evaluations),
        key=lambda e: (
            sum(p.success for played in e.judged.values() for p in played),
            sum(p.stages_cleared for played in e.judged.values() for p in played),
        ),
    )
    while_training = f"at step {best.step:,}"
    for name, episodes in best.judged.items():
        source = f"{while_training}, {name}"
        rows += _by_level(run.name, source, episodes, full_game=run.full_game)
    return rows


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


def stage_series(run: RunData, color: int, *, several: bool) -> list[Series]:
    """Mean number of stages cleared in a run's evaluations of the full game, over steps."""
    series = []
    for dashes, kind in enumerate(("plain", "sticky")):
        played = [(e.step, getattr(e, kind)) for e in run.evaluations if getattr(e, kind)]
        if played and run.full_game:
            means = [float(np.mean([p.stages_cleared for p in found])) for _, found in played]
            curve = Curve(np.array([step for step, _ in played], float), np.array(means))
            name = f"{run.name}, {kind}" if several else kind
            series.append(Series(name, curve, color, dashes))
    return series


def _by_level(
    run: str, source: str, episodes: Iterable[PlayedEpisode], *, full_game: bool
) -> list[LevelSuccess]:
    levels: defaultdict[str, list[PlayedEpisode]] = defaultdict(list)
    for episode in episodes:
        levels[FULL_GAME if full_game else episode.level].append(episode)
    rows = []
    for level, played in sorted(levels.items()):
        wins = sum(p.success for p in played)
        endings = [
            f"{name} {count}" for name, count in Counter(p.ending for p in played).most_common()
        ]
        if full_game:
            stages = [p.stages_cleared for p in played]
            endings.append(
                f"stages cleared {np.mean(stages):.1f} on average, at most {max(stages)}"
            )
        rows.append(
            LevelSuccess(
                run,
                level,
                source,
                len(played),
                wins,
                *wilson_interval(wins, len(played)),
                sum(p.best_x for p in played) / len(played),
                ", ".join(endings),
            )
        )
    return rows
