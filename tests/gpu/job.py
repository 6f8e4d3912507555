"""What a check gets, and what it gives back."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mario_agents.cli import main

LATE = 0.6
"""Of its limit, after which a check of many things begins no other one."""


class Check(NamedTuple):
    """One thing to be checked, in a process of its own.

    Attributes:
        name: what ``--only`` says.
        target: ``module:function``, called with a :class:`Job` and ``arguments``; it returns a
            :class:`Found`.
        arguments: by name, JSON-able.
        seconds: that it should take, beside its budget; after a few times as long it is ended.
        budget: seconds of training, of which it gets less where there is less.
        alone: it measures speed, so that nothing else may run meanwhile.
    """

    name: str
    target: str
    arguments: dict[str, Any]
    seconds: float
    budget: float = 0.0
    alone: bool = False


@dataclass
class Found:
    """What a check found.

    Attributes:
        said: one sentence for the table.
        figures: numbers for the JSON file.
        problems: a sentence for each thing that is wrong.
    """

    said: str
    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class CheckFailed(Exception):
    """A sentence about what is wrong."""


@dataclass
class Job:
    """Where a check runs.

    Attributes:
        device: "cuda", "cpu".
        folder: an empty directory, removed afterwards.
        seconds: its budget.
        log: where its output goes.
        limit: seconds after which it is ended.
    """

    device: str
    folder: Path
    seconds: float
    log: Path
    limit: float
    _began: float = field(default_factory=time.monotonic)

    @property
    def late(self) -> bool:
        """Whether nothing more should be begun: better less than nothing."""
        return time.monotonic() - self._began > LATE * self.limit

    def command(self, *words: object) -> None:
        """Run a command of ``mario-agents`` in this process.

        Raises:
            CheckFailed: if it ends with an error; says how.
        """
        text = [str(word) for word in words]
        print(f"+ mario-agents {shlex.join(text)}", flush=True)
        status = main(text)
        if status:
            said = last_line(self.log)
            raise CheckFailed(f"mario-agents {shlex.join(text)} ended with status {status}: {said}")

    def options_file(self, options: dict[str, Any]) -> Path:
        """Options in a file, for ``train --config``."""
        path = self.folder / "options.json"
        path.write_text(json.dumps(options))
        return path


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
