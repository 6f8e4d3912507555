"""Options that change while training goes on: ``--schedule gamma=0.9:0.97``.

A value follows from the agent steps of the whole run so far and from nothing else, so that a
resumed run, and every worker, has the right one without being told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mario_envkit.arguments import read_whole_number
from mario_envkit.errors import ConfigError

WEIGHTS = "reward_weights."
"""What names of weights of terms of the reward begin with."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_WRITTEN = re.compile(rf"({_NUMBER}):({_NUMBER})(?:@(?:({_NUMBER})-)?({_NUMBER}))?")


@dataclass(frozen=True)
class Schedule:
    """A straight line from one value to another over agent steps, and constant before and after.

    Attributes:
        start: the value up to step ``begin``.
        end: the value from step ``until`` on; that of all steps where ``until`` is not more.
        begin, until: agent steps of the run.
    """

    start: float
    end: float
    begin: int
    until: int

    def __call__(self, step: int) -> float:
        """The value at agent step ``step`` of the run."""
        if step >= self.until:
            return self.end
        done = max(step - self.begin, 0)
        return self.start + (self.end - self.start) * done / (self.until - self.begin)


def parse_schedule(name: str, text: str, total_steps: int) -> Schedule:
    """What ``START:END``, ``START:END@STEPS`` and ``START:END@FROM-TO`` mean.

    Args:
        name: of the option, for the error.
        text: as above; without steps the line ends with the run.
        total_steps: of the run.

    Raises:
        ConfigError: if it is none of these.
    """
    written = _WRITTEN.fullmatch(text)
    try:
        if written is None:
            raise ValueError
        start, end, begin, until = written.groups()
        first = 0 if begin is None else read_whole_number(begin)
        last = total_steps if until is None else read_whole_number(until)
        if first < 0 or last < first:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"schedule: {name} = {text!r} is not START:END, START:END@STEPS or "
            "START:END@FROM-TO with agent steps, such as 0.01:0.001 or 5:25@100000-300000."
        ) from None
    return Schedule(float(start), float(end), first, last)


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
    """Check that both ends are values that the options may have.

    Raises:
        ConfigError: if not.
    """
    from mario_agents.config.parsing import make_value  # which reads configurations

    for name, schedule in schedules.items():
        for value in (schedule.start, schedule.end):
            if name.startswith(WEIGHTS):
                term = name.removeprefix(WEIGHTS)
                make_value(config_class, "reward_weights", {term: value}, source="schedule")
            else:
                make_value(config_class, name, value, source="schedule")
