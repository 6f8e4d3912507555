"""The backward algorithm: learn a level from its end, along one run that reaches the flag.

Source: Salimans and Chen 2018, "Learning Montezuma's Revenge from a Single Demonstration".
Episodes begin near the end of the run; when enough of them reach the flag they begin a little
earlier, until they begin at the level's own start.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mario_envkit.arguments import as_float, as_int, check_keywords
from mario_envkit.curriculum.runs import Run, load_run
from mario_envkit.curriculum.schedule import Fixed
from mario_envkit.curriculum.start_states import MAX_JITTER, Start, as_jitter, draw_jitter
from mario_envkit.env import MarioEnv
from mario_envkit.errors import ConfigError, OptionError, ReplayError
from mario_envkit.game.levels import Level
from mario_envkit.game.start import StartPoint

if TYPE_CHECKING:
    from mario_envkit.snapshots.entry import ArchivedSnapshot

SPACING = 16
"""Frames between two starts along a run; 4 agent steps at the usual frame skip."""


class BackwardCurriculum:
    """Which of some starts along a run, number 0 being the true one, is practised at present.

    Episodes begin at :attr:`position` or up to ``spread`` starts after it, each as likely. As soon
    as ``threshold * window`` of the last ``window`` of them succeeded, the position moves ``step``
    back, and the count begins anew. At 0 it is done. Pure: no clock, no environment.

    Args:
        starts: how many there are, at least 1.
        threshold: share of successes, above 0 up to 1; the paper's is 0.2.
        window: episodes that are counted.
        step: starts to move back at a time.
        spread: starts after the position that are practised as well.

    Raises:
        OptionError: for numbers that make no sense.
    """

    def __init__(
        self,
        starts: int,
        *,
        threshold: float = 0.2,
        window: int = 20,
        step: int = 1,
        spread: int = 3,
    ) -> None:
        self.starts = as_int("starts", starts, least=1)
        self.threshold = as_float("threshold", threshold, above=0, most=1)
        self.window = as_int("window", window, least=1, what="episodes")
        self.step = as_int("step", step, least=1, what="starts")
        self.spread = as_int("spread", spread, what="starts")
        self.position = self.starts - 1
        self._outcomes: deque[bool] = deque(maxlen=self.window)

    @property
    def done(self) -> bool:
        """Whether it has arrived at the true start."""
        return self.position == 0

    @property
    def progress(self) -> float:
        """How far it has come back: 0 at the last start, 1 at the true one."""
        return 1 - self.position / max(self.starts - 1, 1)

    @property
    def success_rate(self) -> float:
        """Of the episodes that count at present, 0 to 1; 0 before the first."""
        return sum(self._outcomes) / len(self._outcomes) if self._outcomes else 0.0

    def choose(self, rng: np.random.Generator) -> int:
        """The number of the start of the next episode; takes one ``rng.random()`` until done."""
        if self.done:
            return 0
        last = min(self.position + self.spread, self.starts - 1)
        return self.position + int(rng.random() * (last - self.position + 1))

    def record(self, start: int, success: bool) -> bool:
        """Count the outcome of an episode from ``start``; whether the position moved.

        Episodes that began beyond ``spread`` when the position had not moved yet do not count.
        """
        if self.done or not self.position <= start <= self.position + self.spread:
            return False
        self._outcomes.append(bool(success))
        if sum(self._outcomes) < self.threshold * self.window:
            return False
        self.position = max(0, self.position - self.step)
        self._outcomes.clear()
        return True

    def state(self) -> dict[str, Any]:
        """Where it is, for JSON."""
        return {
            "starts": self.starts,
            "position": self.position,
            "outcomes": [int(outcome) for outcome in self._outcomes],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`; of more outcomes than the window holds the last ones count.

        Raises:
            ConfigError: if it is not such a state, or one of another run; nothing changes then.
        """
        try:
            starts, position, outcomes = state["starts"], state["position"], state["outcomes"]
            known = starts == self.starts and 0 <= position < self.starts
            fits = known and type(position) is int and all(o in (0, 1) for o in outcomes)
        except (KeyError, TypeError):
            fits = False
        if not fits:
            raise ConfigError(
                f"{state!r:.200} is not the state of a backward curriculum over {self.starts} "
                "starts; give what state() returned for the same run."
            )
        self.position = position
        self._outcomes = deque(map(bool, outcomes), maxlen=self.window)


class BackwardStarts:
    """Starts along a run, by the backward algorithm: a ``StartStates``.

    In other levels than the run's, and once it has arrived there, episodes begin truly. Several
    environments may share one, and then move back together.

    Args:
        run: a :class:`~mario_envkit.curriculum.runs.Run`, or the file of one.
        jitter: the most random actions taken first.
        spacing: frames between two starts.
        true_starts: share of episodes that begin truly all the same, before it has arrived there;
            level schedules hear of no others.
        curriculum: options of :class:`BackwardCurriculum`.

    Attributes:
        curriculum: which start is practised; None before :meth:`attach`.

    Raises:
        ReplayError: if the file is not a run.
        OptionError: for numbers that make no sense.
    """

    def __init__(
        self,
        run: Run | str | os.PathLike[str],
        *,
        jitter: int = MAX_JITTER,
        spacing: int = SPACING,
        true_starts: float = 0.0,
        **curriculum: Any,
    ) -> None:
        check_keywords(curriculum, BackwardStarts, BackwardCurriculum, but=("starts",))
        self.jitter = as_jitter(jitter)
        self.spacing = as_int("spacing", spacing, least=1, what="frames")
        self.true_starts = as_float("true_starts", true_starts, least=0, most=1)
        self.run = load_run(run)
        # The last start is a spacing before the flag; the first is the true one.
        count = max(1, -(-self.run.frames // self.spacing))
        self.curriculum = BackwardCurriculum(count, **curriculum)
        self._begun = self.curriculum.state()
        self._points: list[StartPoint] = []

    @property
    def done(self) -> bool:
        """Whether it has arrived at the true start."""
        return self.curriculum.done

    @property
    def progress(self) -> float:
        """How far it has come back: 0 at the flag, 1 at the true start."""
        return self.curriculum.progress

    def attach(self, game: MarioEnv) -> None:
        """Play the run on another game like ``game`` to find its starts; the first time only.

        Raises:
            OptionError: if the game never plays the run's level.
            ReplayError: if it is of another cartridge, or does not go as recorded there.
            SnapshotMismatch: if the starts were found on another console.
        """
        require_level(self.run, game)
        if not self._points:
            self._points = starts_along(self.run, game, self.spacing)
        self._points[0].console.require(game.emulator.core, game.emulator.rom_sha256)

    def choose(
        self, level: Level | None, archived: Sequence[ArchivedSnapshot], rng: np.random.Generator
    ) -> Start | None:
        """See :class:`~mario_envkit.curriculum.start_states.StartStates`."""
        if level != self.run.level or self.curriculum.done:
            return None
        if self.true_starts and rng.random() < self.true_starts:
            return None
        point = self._points[self.curriculum.choose(rng)]
        return Start(point, draw_jitter(rng, self.jitter))

    def record(self, start: Start, success: bool) -> None:
        """Count an outcome."""
        for number, point in enumerate(self._points):
            if point is start.origin:
                self.curriculum.record(number, success)

    def forget(self) -> None:
        """Go back to the state that it was made or last restored with."""
        self.curriculum.restore(self._begun)

    def state(self) -> dict[str, Any]:
        """How far it is, for JSON."""
        return self.curriculum.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`.

        Raises:
            ConfigError: if it is not such a state, or one of another run.
        """
        self.curriculum.restore(state)
        self._begun = self.curriculum.state()


def require_level(run: Run, game: MarioEnv) -> None:
    """Check that a game may play the level of a run.

    Raises:
        OptionError: if it never does.
    """
    schedule = game.schedule
    if isinstance(schedule, Fixed) and schedule.level != run.level:
        raise OptionError(
            f"The run is of {run.level} and level={str(schedule.level or 'full')!r} is played; "
            "give the level of the run, or a schedule with that among others."
        )


def starts_along(run: Run, game: MarioEnv, spacing: int) -> list[StartPoint]:
    """The points of a run, ``spacing`` frames apart; the first is the level's own start.

    Args:
        run: of a level.
        game: on whose kind of console to play; another one like it is made.
        spacing: frames.

    Raises:
        ReplayError: if the run is of another cartridge, or does not reach the flag there.
    """
    game = game.made_again()
    try:
        if game.emulator.rom_sha256 != run.rom_sha256:
            raise ReplayError(
                f"The run of {run.level} was made with another cartridge than this environment "
                "has; give the right one with rom=."
            )
        game.render_mode, game.draw = None, False
        points = [StartPoint(game.start_of(run.level), run.level)]
        for step, _ in enumerate(run.play(game), start=1):
            if step % spacing == 0 and step < run.frames:
                points.append(game.start_point())
        return points
    finally:
        game.close()
