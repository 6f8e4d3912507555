"""Where in a level the next episode begins: at its start, or somewhere on the way.

Salimans and Chen 2018, "Learning Montezuma's Revenge from a Single Demonstration", begin along one
recorded run (:mod:`mario_envkit.curriculum.backward`); the sampler here begins at snapshots of
earlier play, at those from which success is neither rare nor sure, as Florensa et al. 2017,
"Reverse Curriculum Generation for Reinforcement Learning", choose theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mario_envkit.arguments import MOST_FRAMES, as_float, as_int, plain, shown
from mario_envkit.curriculum.schedule import draw
from mario_envkit.errors import OptionError
from mario_envkit.game.levels import Level
from mario_envkit.game.start import StartPoint

if TYPE_CHECKING:
    from mario_envkit.snapshots.entry import ArchivedSnapshot

MAX_JITTER = 8
_RARE, _SURE = 0.1, 0.9
_SELDOM = 0.1  # weight of a snapshot outside of these, where one inside has 1


@dataclass(frozen=True, eq=False)
class Start:
    """A start that is not the level's own.

    Attributes:
        origin: a snapshot of the archive, to be restored with all it remembers, or a point of the
            game, where an episode begins like any other.
        jitter: random actions to take first, so that no two episodes begin quite alike.
        reach: pixels of new ground that make the episode a success; None asks for the flag.
    """

    origin: ArchivedSnapshot | StartPoint
    jitter: int = 0
    reach: int | None = None


class StartStates(Protocol):
    """Chooses where episodes begin, and hears what came of it; knows no environment.

    Whoever hosts it calls :meth:`choose` at every new episode whose level is decided and which
    nobody asked to begin truly, begins there (a snapshot is restored, a point goes to
    ``reset(options={"start": point})``), takes ``start.jitter`` random actions, and calls
    :meth:`record` once the first life is lost, the level is won, or the episode is cut off or left.
    If the jitter ends the episode, it begins at the same start again, without.
    """

    def choose(
        self, level: Level | None, archived: Sequence[ArchivedSnapshot], rng: np.random.Generator
    ) -> Start | None:
        """The start of an episode in ``level`` (None: the full game); None is the true one.

        Args:
            level: what the schedule chose.
            archived: the snapshots of that level, in the archive's order.
            rng: of the host; everything random comes from here.
        """

    def record(self, start: Start, success: bool) -> None:
        """What came of a start that :meth:`choose` returned."""

    def forget(self) -> None:
        """Forget what was recorded: the environment was seeded."""


@dataclass(frozen=True)
class StartStateSampler:
    """A mixture of true starts and snapshots from the archive.

    A snapshot's success rate is estimated as (successes + 1) / (attempts + 2), so that one that
    was never tried counts as worth trying. Those between 10 % and 90 % are chosen ten times as
    often as the others. The outcomes are counted in the archive, by the host.

    Args:
        share: of episodes that begin at a snapshot, if there are any.
        jitter: the most random actions taken first; 0 to this many, each as likely.
        reach: pixels of new ground after which an attempt has succeeded, as has one that reaches
            the flag; the default is past a hotspot for which the snapshot was taken.

    Raises:
        OptionError: for numbers that make no sense.
    """

    share: float = 0.35
    jitter: int = MAX_JITTER
    reach: int = 150

    def __post_init__(self) -> None:
        values = {
            "share": as_float("share", self.share, least=0, most=1),
            "jitter": as_jitter(self.jitter),
            "reach": as_int("reach", self.reach, least=1, what="pixels"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def choose(
        self, level: Level | None, archived: Sequence[ArchivedSnapshot], rng: np.random.Generator
    ) -> Start | None:
        """See :class:`StartStates`."""
        if rng.random() >= self.share or not archived:
            return None
        entry = draw(archived, [_weight(entry) for entry in archived], rng)
        return Start(entry, draw_jitter(rng, self.jitter), self.reach)

    def record(self, start: Start, success: bool) -> None:
        """Nothing: the archive keeps the books."""

    def forget(self) -> None:
        """Nothing is remembered here."""


def resolve_start_states(start_states: Any) -> StartStates | None:
    """What ``start_states=`` means: None, a share for :class:`StartStateSampler`, or an object.

    Raises:
        OptionError: for anything else.
    """
    if start_states is None:
        return None
    names = ("choose", "record", "forget")
    if not isinstance(start_states, type) and all(
        callable(getattr(start_states, name, None)) for name in names
    ):
        own: StartStates = start_states
        return own
    share = plain(start_states)
    if isinstance(share, (int, float)) and not isinstance(share, bool):
        return StartStateSampler(as_float("start_states", share, least=0, most=1))
    raise OptionError(
        f"start_states={shown(start_states)} is not possible; give the share of archived starts, "
        "0 to 1, or an object with choose(), record() and forget()."
    )


def as_jitter(jitter: Any) -> int:
    """The argument ``jitter``: the most random actions at the start of an episode.

    Raises:
        OptionError: if it is none.
    """
    return as_int("jitter", jitter, most=MOST_FRAMES, what="random actions")


def draw_jitter(rng: np.random.Generator, most: int) -> int:
    """How many random actions, 0 to ``most``; takes one ``rng.random()``."""
    return int(rng.random() * (most + 1))


def _weight(entry: ArchivedSnapshot) -> float:
    practice = entry.practice
    rate = (practice.successes + 1) / (practice.attempts + 2)
    return 1.0 if _RARE <= rate <= _SURE else _SELDOM
