"""What a check gets, and what it gives back."""

from __future__ import annotations

import json
import shlex
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mario_agents.cli import main

WHERE_ARE_YOU = signal.SIGUSR1
"""Has a process that makes checks write where its threads are, whatever they do."""


class Check(NamedTuple):
    """One thing to be checked.

    Attributes:
        name: what ``--only`` says.
        target: ``module:function``, called with a :class:`Job` and ``arguments``; it returns a
            :class:`Found`.
        arguments: by name, JSON-able.
        seconds: its budget on a machine with a GPU; it is ended after a few times as long.
        cores: that it keeps busy: it runs beside others of its kind while there are so many. None
            is all of them: it measures a speed, so that nothing else may run meanwhile.
        measured: seconds of its budget in which it trains, or measures.
    """

    name: str
    target: str
    arguments: dict[str, Any]
    seconds: float
    cores: float | None
    measured: float = 0.0


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
        seconds: to train or to measure.
        log: where the output of its process goes.
        log_begin: bytes of that which were there before.
    """

    device: str
    folder: Path
    seconds: float
    log: Path
    log_begin: int

    def command(self, *words: object) -> None:
        """Run a command of ``mario-agents`` in this process.

        Raises:
            CheckFailed: if it ends with an error; says how.
        """
        text = [str(word) for word in words]
        print(f"+ mario-agents {shlex.join(text)}", flush=True)
        status = main(text)
        if status:
            command = shlex.join(["mario-agents", *text])
            raise CheckFailed(f"{command} ended with status {status}: {self.last_line()}")

    def last_line(self) -> str:
        """What was said last."""
        return last_line(read_log(self.log, self.log_begin))

    def options_file(self, options: dict[str, Any]) -> Path:
        """Options in a file, for ``train --config``."""
        path = self.folder / "options.json"
        path.write_text(json.dumps(options))
        return path


def read_log(log: Path, begin: int) -> str:
    """What a log says behind so many bytes."""
    return log.read_bytes()[begin:].decode(errors="replace") if log.exists() else ""


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "it said nothing")
