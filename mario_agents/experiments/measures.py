"""The numbers of one run: pure functions of its evaluations while it trained.

Throughout, ``points`` are the evaluations of a run in the order of their steps, and a time is in
wall-clock seconds of training (see :class:`~mario_agents.run.clock.TrainingClock`) unless it says
otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mario_agents.run.records import EvaluationRecord, PlayedEpisode

RELIABLE = 0.9
"""Share of greedy episodes from which on a level counts as mastered."""


class Point(Struct, frozen=True):
    """An evaluation.

    Attributes:
        step: agent steps when the weights were taken.
        seconds: of training at that moment; None if the run does not say.
        known: of training when the last episode had ended; None if the run does not say.
        time: Unix seconds at that end; None if the run does not say.
        plain: share of greedy episodes that reached the flag.
        sticky: the same with sticky actions.
    """

    step: int
    plain: float
    sticky: float
    seconds: float | None = None
    known: float | None = None
    time: float | None = None


class Clear(Struct, frozen=True):
    """When a level was cleared first.

    Attributes:
        step: agent steps of the weights that did it.
        seconds: of training when these weights were taken.
        known: of training when the evaluation that showed it was over.
        process_seconds: from the start of the process, imports included, to that end.
    """

    step: int
    seconds: float | None = None
    known: float | None = None
    process_seconds: float | None = None


def points_of(records: Iterable[EvaluationRecord]) -> tuple[Point, ...]:
    """The evaluations of a run; those without an episode are left out."""
    return tuple(
        Point(r.step, _share(r.plain), _share(r.sticky), r.seconds, r.known, r.time)
        for r in sorted(records, key=lambda record: record.step)
        if r.plain and r.sticky
    )


def first_clear(
    points: Sequence[Point], *, share: float = 0.0, spawned: float | None = None
) -> Clear | None:
    """The first evaluation with any greedy success, or with a share of at least ``share``.

    Args:
        points: the evaluations.
        share: 0 asks for one success.
        spawned: when the process was started, Unix seconds.

    Returns:
        None if there was no such evaluation.
    """
    for point in points:
        if point.plain > 0 and point.plain >= share:
            known = None
            if point.time is not None and spawned is not None:
                known = point.time - spawned
            return Clear(point.step, point.seconds, point.known, known)
    return None


def has_seconds(points: Sequence[Point]) -> bool:
    """Whether all evaluations say when they were made."""
    return all(point.seconds is not None for point in points)


def held(
    points: Sequence[Point], grid: NDArray[np.float64], *, sticky: bool, by_time: bool
) -> NDArray[np.float64]:
    """Success as a step function: that of the last evaluation so far, 0 before the first.

    Args:
        points: the evaluations.
        grid: places ``(n,)``, in seconds or in agent steps.
        sticky: of the episodes with sticky actions, or of the plain ones.
        by_time: whether ``grid`` is in seconds.

    Returns:
        ``(n,)`` float64, each from 0 to 1.
    """
    places = np.array([place_of(point, by_time=by_time) for point in points])
    values = np.array([0.0, *(point.sticky if sticky else point.plain for point in points)])
    held: NDArray[np.float64] = values[np.searchsorted(places, grid, side="right")]
    return held


def area(
    points: Sequence[Point], horizon: float, *, by_time: bool, sticky: bool = True
) -> float | None:
    """Mean over the budget of the success with sticky actions, as of :func:`held`: from 0 to 1.

    A run that learned everything at once has 1, one that never reached the flag 0. A run that
    ended before its budget keeps its last success until the budget's end.

    Args:
        points: the evaluations.
        horizon: the budget, in seconds or in agent steps; what comes later does not count.
        by_time: whether it is in seconds.
        sticky: of the episodes with sticky actions, or of the plain ones.

    Returns:
        None if it cannot be known: there are no evaluations, or they do not say when they were.
    """
    if not points or horizon <= 0 or (by_time and not has_seconds(points)):
        return None
    places = [min(place_of(point, by_time=by_time), horizon) for point in points]
    ends = [*places[1:], horizon]
    return sum(
        (point.sticky if sticky else point.plain) * (end - begin)
        for point, begin, end in zip(points, places, ends, strict=True)
    ) / horizon  # fmt: skip


def budget_left(
    points: Sequence[Point], horizon: float, *, by_time: bool, share: float = 0.0
) -> float | None:
    """Share of the budget that was left at :func:`first_clear`, 0 to 1; 0 if there was none.

    Args:
        points: the evaluations.
        horizon: the budget, in seconds or in agent steps.
        by_time: whether it is in seconds.
        share: as for :func:`first_clear`.

    Returns:
        None if it cannot be known, as for :func:`area`.
    """
    if not points or horizon <= 0 or (by_time and not has_seconds(points)):
        return None
    clear = first_clear(points, share=share)
    if clear is None:
        return 0.0
    place = clear.seconds if by_time else clear.step
    assert place is not None
    return max(0.0, 1 - place / horizon)


def last_third(points: Sequence[Point], end: float, *, by_time: bool) -> tuple[float, float] | None:
    """How stable it was: greedy success of the weights as they were in the last third of the run.

    Args:
        points: the evaluations.
        end: of the run, in seconds or in agent steps; evaluations after two thirds of it count.
        by_time: whether it is in seconds.

    Returns:
        Mean and minimum; None if there were no evaluations.
    """
    if by_time and not has_seconds(points):
        return None
    shares = [point.plain for point in points if place_of(point, by_time=by_time) > 2 * end / 3]
    return (sum(shares) / len(shares), min(shares)) if shares else None


def place_of(point: Point, *, by_time: bool) -> float:
    """Where an evaluation is on the axis: seconds of training, or agent steps."""
    if by_time:
        assert point.seconds is not None
        return point.seconds
    return float(point.step)


def _share(episodes: Sequence[PlayedEpisode]) -> float:
    return sum(episode.success for episode in episodes) / len(episodes)
