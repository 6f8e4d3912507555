"""The actor that runs one command of a job, as a process on its node."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mario_agents.experiments.process import Child
from mario_agents.runtime.ray.placement import whereabouts
from mario_agents.runtime.ray.run_files import RunPlace, Wanted, copied
from mario_agents.runtime.signals import ignore_stop_signals
from mario_envkit.errors import MarioEnvkitError
from mario_envkit.files import replace_file

LOOK_SECONDS = 0.1
"""Between two looks whether the process has ended."""
OF_ITS_NODE = ("run.lock", "events.json")
"""Files that mean something on one machine only."""


@dataclass(frozen=True, slots=True)
class JobCommand:
    """What is to be run.

    Attributes:
        words: of the command; those of type Path are files below the folder of the place.
        log: file there that takes what it prints.
        threads: of each of its libraries.
        place: of the folder.
    """

    words: tuple[str | Path, ...]
    log: Path
    threads: int
    place: RunPlace

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files and folders that the command may read."""
        paths = [word for word in self.words if isinstance(word, Path)]
        return tuple(path.as_posix() for path in (*paths, self.log))


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        status: its exit status; negative for a signal that killed it.
        spawned: when it was started, Unix seconds of the node.
        seconds: how long it took.
        reason: what went wrong other than with the command, or "".
    """

    status: int
    spawned: float
    seconds: float
    reason: str = ""


class JobActor:
    """Runs one command. Its process ends with it: they share a pipe."""

    def __init__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            ignore_stop_signals()
        self._stop = threading.Event()

    def where(self) -> tuple[str, int]:
        """Id of the node, and of the process."""
        return whereabouts()

    def stop(self) -> None:
        """Ask the command to stop, as Ctrl-C does."""
        self._stop.set()

    def run(self, command: JobCommand) -> Ended:
        """Run a command to its end; its files are then beside the command that started it."""
        began, clock = time.time(), time.monotonic()
        try:
            if command.place.is_here:
                return self._run(command, Path(command.place.path))
            wanted = Wanted(command.files, keeps=OF_ITS_NODE)
            with copied(command.place.call, wanted) as copy:
                copy.begin()
                ended = self._run(command, copy.folder)
                _rename_in_log(copy.folder / command.log, str(copy.folder), command.place.path)
                copy.close()
                return ended
        except (OSError, MarioEnvkitError) as error:
            return Ended(1, began, time.monotonic() - clock, str(error))

    def _run(self, command: JobCommand, folder: Path) -> Ended:
        words = [str(folder / word) if isinstance(word, Path) else word for word in command.words]
        log = folder / command.log
        log.parent.mkdir(parents=True, exist_ok=True)
        child = Child(words, log, slot=0, jobs=1, threads=command.threads)
        try:
            while (status := child.exit_status) is None:
                if self._stop.is_set():
                    child.ask_to_stop()
                time.sleep(LOOK_SECONDS)
            return Ended(status, child.spawned, child.seconds)
        finally:
            child.close()


def _rename_in_log(log: Path, before: str, after: str) -> None:
    """What a command printed names files as they are called where people look for them."""
    content = log.read_bytes().replace(before.encode(), after.encode())
    replace_file(log, lambda temporary: temporary.write_bytes(content))
