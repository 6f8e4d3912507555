"""From results to entries, and from entries to tables in which everything can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mario_agents.evaluation.conditions import CONDITIONS
from mario_agents.evaluation.intervals import wilson_interval
from mario_agents.evaluation.result_file import Result
from mario_agents.evaluation.results import Estimate, Evaluation
from mario_agents.evaluation.spread import Spread
from mario_agents.evaluation.tracks import TRACKS
from mario_envkit.errors import ResultError

OVERALL = "overall"
"""Instead of a condition: the mean of all that were played."""


class Terms(NamedTuple):
    """What results must share to stand in one table.

    Attributes:
        section: track, or "" and the levels, since other levels are another task.
        game: "smb" or "lost_levels".
        rom_sha256: of the cartridge image.
        on: the package in which the game was played.
        core: the console and its timing.
        conditions: under which each level was played, in the order of the standard.
        sticky, noop_max: of the standard.
        schema: layout of the results.
    """

    section: tuple[str, ...]
    game: str
    rom_sha256: str
    on: str
    core: str
    conditions: tuple[str, ...]
    sticky: float
    noop_max: int
    schema: int

    @classmethod
    def of(cls, result: Result) -> Terms:
        """Those of a result."""
        # The full game and orders of levels are places of their own, and sorted behind the others.
        levels = () if result.track in TRACKS else tuple(sorted(result.records))
        known = [name for name in CONDITIONS if name in result.conditions]
        return cls(
            section=(result.track, *levels),
            game=result.game.name,
            rom_sha256=result.game.rom_sha256,
            on=result.on,
            core=result.game.core,
            conditions=(*known, *sorted(set(result.conditions) - set(known))),
            sticky=result.standard.sticky,
            noop_max=result.standard.noop_max,
            schema=result.schema,
        )

    @property
    def wanted(self) -> tuple[str, ...]:
        """The levels that count."""
        track, *levels = self.section
        return TRACKS[track].levels if track in TRACKS else tuple(levels)


@dataclass(frozen=True, slots=True)
class Entry:
    """One agent, or the agents of one author where a track has one for each stage.

    Attributes:
        terms: how it was measured.
        results: what it is made of.
        levels: evaluations by level and condition.
    """

    terms: Terms
    results: tuple[Result, ...]
    levels: Mapping[str, Mapping[str, Evaluation]]

    @property
    def first(self) -> Result:
        """The result that names the entry."""
        return self.results[0]

    @property
    def missing(self) -> tuple[str, ...]:
        """Levels that count and were not played."""
        return tuple(level for level in self.terms.wanted if level not in self.levels)

    def rates(self, by: str = OVERALL) -> dict[str, float]:
        """Success rates of the levels that count, 0 where one was not played.

        Args:
            by: a condition, or :data:`OVERALL`.
        """
        names = self.terms.conditions if by == OVERALL else (by,)
        return {
            level: sum(self.levels[level][name].success_rate.mean for name in names) / len(names)
            if level in self.levels
            else 0.0
            for level in self.terms.wanted
        }

    def spread(self, by: str = OVERALL) -> Spread:
        """What these rates say together."""
        return Spread.of(self.rates(by))

    def estimate(self, condition: str) -> Estimate | None:
        """Mean rate over the levels with the Wilson interval of all episodes together, which is
        wide enough for episodes of levels that differ; None while levels are missing, or were
        played for different numbers of episodes."""
        played = [row[condition].episodes for row in self.levels.values()]
        if self.missing or len({len(episodes) for episodes in played}) > 1:
            return None
        wins = sum(episode.success for episodes in played for episode in episodes)
        count = sum(map(len, played))
        return Estimate(wins / count, *wilson_interval(wins, count))

    def mean_x(self, by: str = OVERALL) -> float:
        """Mean farthest x in pixels over the levels that were played: what tells agents apart that
        clear nothing."""
        names = self.terms.conditions if by == OVERALL else (by,)
        means = [
            sum(episode.best_x for episode in row[name].episodes) / len(row[name].episodes)
            for row in self.levels.values()
            for name in names
        ]
        return sum(means) / len(means)

    @property
    def episodes(self) -> int:
        """For each level and condition, the smallest number."""
        return min(result.standard.episodes for result in self.results)

    @property
    def minutes(self) -> float | None:
        """Of training, all agents together; None unless each says it."""
        each = [result.training.minutes for result in self.results]
        return None if None in each else sum(m for m in each if m is not None)

    @property
    def agent_steps(self) -> int | None:
        """Of training, likewise."""
        each = [result.training.agent_steps for result in self.results]
        return None if None in each else sum(s for s in each if s is not None)


@dataclass(frozen=True, slots=True)
class Table:
    """Entries that can be compared, the best first."""

    terms: Terms
    entries: tuple[Entry, ...]


def tables_of(results: Sequence[tuple[Path, Result]], by: str = OVERALL) -> list[Table]:
    """Results as tables, in the order of the tracks; within each all terms are the same.

    Args:
        results: with the files they are from.
        by: a condition, or :data:`OVERALL`: success under it sorts the entries.

    Raises:
        ResultError: if one track has two results of the same agent and level, or nothing was
            played under that condition.
    """
    entries = _entries(results)
    grouped: dict[Terms, list[Entry]] = {}
    for entry in entries:
        if by in (OVERALL, *entry.terms.conditions):
            grouped.setdefault(entry.terms, []).append(entry)
    if not grouped:
        raise ResultError(f"None of the results was played under {by!r}; sort by another one.")
    order = list(TRACKS)

    def place(terms: Terms) -> tuple[object, ...]:
        track = terms.section[0]
        return (order.index(track) if track in order else len(order), *terms)

    return [
        Table(terms, tuple(sorted(grouped[terms], key=lambda entry: _merit(entry, by))))
        for terms in sorted(grouped, key=place)
    ]


def _merit(entry: Entry, by: str) -> tuple[object, ...]:
    spread = entry.spread(by)
    return -spread.mean, -spread.worst_tenth, -entry.mean_x(by), entry.first.agent.name


def _entries(results: Iterable[tuple[Path, Result]]) -> list[Entry]:
    """One for each result, but where a track joins those of one name."""
    joined: dict[tuple[Terms, str], list[tuple[Path, Result]]] = {}
    entries: list[Entry] = []
    for path, result in results:
        terms = Terms.of(result)
        track = TRACKS.get(result.track)
        if track is not None and track.joins:
            joined.setdefault((terms, result.agent.name), []).append((path, result))
        else:
            entries.append(Entry(terms, (result,), result.evaluations()))
    return entries + [_joined(terms, found) for (terms, _), found in joined.items()]


def _joined(terms: Terms, found: Sequence[tuple[Path, Result]]) -> Entry:
    levels: dict[str, Mapping[str, Evaluation]] = {}
    source: dict[str, Path] = {}
    for path, result in found:
        for level, conditions in result.evaluations().items():
            if level in levels:
                raise ResultError(
                    f"{source[level]} and {path} both have {result.agent.name!r} on {level}; one "
                    "entry has one agent for each stage: leave one out, or measure it with "
                    "another --name."
                )
            levels[level], source[level] = conditions, path
    return Entry(terms, tuple(result for _, result in found), levels)
