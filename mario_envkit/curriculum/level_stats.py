"""How a level goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class LevelStats:
    """Attempts at one level from its true start.

    Practice from a snapshot counts only as deaths and warps. In the full game every stage that
    Mario enters alive, from the stage before or by a warp, is an attempt at that.

    Attributes:
        attempts: episodes begun at the level's start that have ended, or lost their first life.
        completions: those that reached its flag before that.
        deaths: all deaths, those of practice as well.
        warps: how often the level was left for another one without its flag, in practice as well.
        best_x: furthest x in pixels, in any area, of an attempt.
        best_time: fewest frames (60 a second) of a completion; None before the first.
    """

    attempts: int = 0
    completions: int = 0
    deaths: int = 0
    warps: int = 0
    best_x: int = 0
    best_time: int | None = None

    @property
    def completion_rate(self) -> float:
        """Completions per attempt, 0 to 1; 0 before the first attempt."""
        return self.completions / self.attempts if self.attempts else 0.0

    def record_attempt(self, *, completed: bool, best_x: int, frames: int) -> None:
        """Count an attempt; ``frames`` is how long it took."""
        self.attempts += 1
        self.best_x = max(self.best_x, best_x)
        if completed:
            self.completions += 1
            if self.best_time is None or frames < self.best_time:
                self.best_time = frames

    def record_death(self) -> None:
        """Count a death."""
        self.deaths += 1

    def record_warp(self) -> None:
        """Count a warp out of the level."""
        self.warps += 1

    def add(self, other: LevelStats) -> None:
        """Count what somebody else has seen of the same level."""
        self.attempts += other.attempts
        self.completions += other.completions
        self.deaths += other.deaths
        self.warps += other.warps
        self.best_x = max(self.best_x, other.best_x)
        times = [time for time in (self.best_time, other.best_time) if time is not None]
        self.best_time = min(times, default=None)

    def as_dict(self) -> dict[str, int | float | None]:
        """All figures by name, the completion rate included."""
        return {
            "attempts": self.attempts,
            "completions": self.completions,
            "completion_rate": self.completion_rate,
            "deaths": self.deaths,
            "warps": self.warps,
            "best_x": self.best_x,
            "best_time": self.best_time,
        }
