"""Options that change while training goes on: ``--schedule gamma=0.9:0.97``.

A value follows from the agent steps of the whole run so far and from nothing else, so that a
resumed run, and every worker, has the right one without being told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mario_envkit.arguments import read_whole_number
from mario_envkit.errors import ConfigError

WEIGHTS = "reward_weights."
"""What names of weights of terms of the reward begin with."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_STEPS = rf"{_NUMBER}%?"
_WRITTEN = re.compile(rf"({_NUMBER}):({_NUMBER})(?:@(?:({_STEPS})-)?({_STEPS}))?")


@dataclass(frozen=True)
class Schedule:
    """A straight line from one value to another over agent steps, and constant before and after;
    or several of these, one after another.

    Attributes:
        start: the value up to step ``begin``.
        end: the value from step ``until`` on; that of all steps where ``until`` is not more.
        begin, until: agent steps of the run.
        then: what counts instead from its own ``begin`` on.
    """

    start: float
    end: float
    begin: int
    until: int
    then: Schedule | None = None

    def __call__(self, step: int) -> float:
        """The value at agent step ``step`` of the run."""
        if self.then is not None and step >= self.then.begin:
            return self.then(step)
        if step >= self.until:
            return self.end
        if step <= self.begin:
            return self.start
        done = step - self.begin
        return self.start + (self.end - self.start) * done / (self.until - self.begin)

    @property
    def corners(self) -> tuple[float, ...]:
        """The values between which it moves, in their order; the last one is what it ends with."""
        return self.start, self.end, *(() if self.then is None else self.then.corners)


def parse_schedule(name: str, text: str, total_steps: int) -> Schedule:
    """What ``START:END``, ``START:END@STEPS`` and ``START:END@FROM-TO`` mean, and several of them
    with commas between.

    Args:
        name: of the option, for the error.
        text: as above; without steps the line ends with the run, and without FROM one behind a
            comma begins where the one before ends. Steps may be percent of the run, ``25%``.
        total_steps: of the run.

    Raises:
        ConfigError: if it is none of these.
    """
    lines: list[Schedule] = []
    try:
        for part in text.split(","):
            written = _WRITTEN.fullmatch(part.strip())
            if written is None:
                raise ValueError
            start, end, begin, until = written.groups()
            earliest = lines[-1].until if lines else 0
            first = earliest if begin is None else _steps(begin, total_steps)
            last = total_steps if until is None else _steps(until, total_steps)
            if not earliest <= first <= last:
                raise ValueError
            lines.append(Schedule(float(start), float(end), first, last))
    except ValueError:
        raise ConfigError(
            f"schedule: {name} = {text!r} is not START:END, START:END@STEPS or START:END@FROM-TO "
            "with agent steps or percent of the run, such as 0.01:0.001 or 5:25@100000-300000, nor "
            "several of these in their order, such as 5:5@25%,25:25."
        ) from None
    schedule = lines.pop()
    for line in reversed(lines):
        schedule = replace(line, then=schedule)
    return schedule


def _steps(text: str, total_steps: int) -> int:
    if not text.endswith("%"):
        return read_whole_number(text)
    percent = float(text[:-1])
    if not 0 <= percent <= 100:
        raise ValueError
    return round(percent * total_steps / 100)


def parse_schedules(
    written: Mapping[str, str], possible: frozenset[str], total_steps: int
) -> dict[str, Schedule]:
    """The schedules of a run by the names of their options.

    Args:
        written: by name, see :func:`parse_schedule`.
        possible: options that can change while a run goes on, beside weights of the reward.
        total_steps: of the run.

    Raises:
        ConfigError: for other options, and what is no schedule.
    """
    for name in written:
        if name not in possible and not (name.startswith(WEIGHTS) and len(name) > len(WEIGHTS)):
            known = ", ".join([*sorted(possible), f"{WEIGHTS}TERM"])
            raise ConfigError(
                f"schedule: {name} cannot change while a run goes on; what can is {known}."
            )
    return {name: parse_schedule(name, text, total_steps) for name, text in written.items()}


def check_values(config_class: type[Any], schedules: Mapping[str, Schedule]) -> None:
    """Check that all their corners are values that the options may have.

    Raises:
        ConfigError: if not.
    """
    from mario_agents.config.parsing import make_value  # which reads configurations

    for name, schedule in schedules.items():
        for value in schedule.corners:
            if name.startswith(WEIGHTS):
                term = name.removeprefix(WEIGHTS)
                make_value(config_class, "reward_weights", {term: value}, source="schedule")
            else:
                make_value(config_class, name, value, source="schedule")
