"""The run directory as actors see it: itself on the node of the main process, a copy elsewhere.

There need be no file system that machines share. An actor on another node has a folder of its own,
with what it needs of the run directory. A thread sends what is written there to an actor beside
the main process, and fetches what others have written. What the disk there refuses is tried again,
as :mod:`mario_agents.run.storage` says.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_agents.run import RunDir
from mario_agents.run.storage import Deferrable
from mario_agents.runtime.attached import AttachedRun, take_part
from mario_agents.runtime.ray.files_actor import Stamp, stamp_of, stamps_of
from mario_agents.telemetry.events import COORDINATOR
from mario_envkit.closing import close_all, close_at_end
from mario_envkit.errors import RunError
from mario_envkit.files import process_lives, replace_file

SEND_SECONDS = 1.0
"""Seconds between two looks for what was written."""
FETCH_EVERY = 10
"""Looks, between two of which what others have written is fetched."""
PREFIX = "mario-run-"
_GROWING = (".csv", ".jsonl")
_OWN = ("config.json", "death_hotspots.json", "events.json", "run.lock")
"""Of the main process alone."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where the run directory is.

    Attributes:
        path: of it, on its node.
        node: id of that.
        files: handle of the actor :class:`~mario_agents.runtime.ray.files_actor.RunFiles` there.
    """

    path: str
    node: str
    files: Any


def take_part_at(
    place: RunPlace,
    source: str,
    attach: Callable[[RunDir, Callable[[], object]], AttachedRun],
    main: Callable[[AttachedRun], object],
) -> str | None:
    """:func:`~mario_agents.runtime.attached.take_part` on any node.

    Args:
        place: of the run directory.
        source: name of this process.
        attach: is given the run directory as it is here, and how to settle it.
        main: does the work.
    """
    import ray

    if ray.get_runtime_context().get_node_id() == place.node:
        return take_part(lambda: attach(RunDir.open(Path(place.path)), lambda: None), main)
    _remove_dead()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))

    def call(method: str, *arguments: object) -> Any:
        try:
            return ray.get(getattr(place.files, method).remote(*arguments))
        except ray.exceptions.RayError as error:
            raise RunError(
                f"The run directory cannot be reached ({type(error).__name__})."
            ) from error

    copy = RunCopy(folder, call, source)

    def attach_copy() -> AttachedRun:
        copy.begin()
        return attach(RunDir.open(folder), copy.settle)

    def main_at_copy(attached: AttachedRun) -> None:
        with close_at_end(copy):
            main(attached)

    try:
        sentence = take_part(attach_copy, main_at_copy)
    finally:
        copy.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return sentence and sentence.replace(str(folder), place.path)


class RunCopy:
    """A folder that has what a process needs of a run directory elsewhere.

    Args:
        folder: empty.
        call: calls a method of :class:`~mario_agents.runtime.ray.files_actor.RunFiles`, which has
            the run directory, by its name; raises RunError where it cannot be reached.
        source: name of the process, ``worker_0`` or ``coordinator``.
    """

    def __init__(self, folder: Path, call: Callable[..., Any], source: str) -> None:
        self._folder, self._call = folder, call
        if source == COORDINATOR:
            self._begins_with = ["config.json", "coordinator.csv", "evaluations.jsonl",
                                 "best.safetensors", "imitated.safetensors", "checkpoint",
                                 "videos"]  # fmt: skip
            self._shares: list[str] = []
        else:
            self._begins_with = ["config.json", f"{source}.csv", f"curriculum/{source}.json"]
            self._shares = ["death_hotspots.json", "snapshots", "videos"]
        self._there: dict[str, Stamp] = {}
        """Of files at the other end that are as they are here."""
        self._here: dict[str, Stamp] = {}
        """The same files here."""
        self._states: dict[str, Deferrable] = {}
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_sending, daemon=True)

    def begin(self) -> None:
        """Fetch what there is, and begin to send what is written."""
        self._fetch([*self._begins_with, *self._shares])
        self._thread.start()

    def fetch(self) -> None:
        """Fetch what others have written since."""
        with self._lock:
            self._fetch(self._shares)

    def settle(self) -> None:
        """Send all that was written.

        Raises:
            RunError: if the disk at the other end refuses.
        """
        with self._lock:
            self._send()
        close_all(*(state.settle for state in self._states.values()))

    def stop(self) -> None:
        """Send nothing any more."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def close(self) -> None:
        """:meth:`settle` for the last time; harmless when repeated."""
        self.stop()
        self.settle()

    def _keep_sending(self) -> None:
        looks = 0
        while not self._over.wait(SEND_SECONDS):
            looks += 1
            try:
                with self._lock:
                    self._send()
                if looks % FETCH_EVERY == 0:
                    self.fetch()
            except (OSError, RunError) as error:
                log.info("Files wait for the next look: %s", error)

    def _send(self) -> None:
        """Send what was written, the oldest first: a manifest comes after what it vouches for."""
        now = stamps_of(self._folder, _all_files(self._folder))
        changed = [name for name, stamp in now.items() if stamp != self._here.get(name)]
        for name in sorted(changed, key=lambda name: now[name].modified):
            self._send_file(name, now[name])
        for name in [name for name in self._here if name not in now]:
            error = self._call("remove", name)
            if self._state(name).attempt(lambda error=error: _raise(error)):  # type: ignore[misc]
                self._here.pop(name)
                self._there.pop(name, None)

    def _send_file(self, name: str, stamp: Stamp) -> None:
        before, start = self._here.get(name), 0
        if name.endswith(_GROWING) and before and before.inode == stamp.inode:
            start = min(before.size, stamp.size)
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(start)
                content = file.read(stamp.size - start)
        except FileNotFoundError:  # replaced or removed meanwhile
            return
        answer = self._call("write", name, content, start)
        if answer is None:  # not as it was left there: send it whole, the next time
            self._here.pop(name, None)
        elif self._state(name).attempt(lambda: _raise(answer)):
            self._here[name], self._there[name] = stamp, answer

    def _state(self, name: str) -> Deferrable:
        return self._states.setdefault(name, Deferrable(name))

    def _fetch(self, names: list[str]) -> None:
        """Fetch what others have written; what they have removed is removed here."""
        there: dict[str, Stamp] = self._call("stamps", names)
        for name, stamp in there.items():
            if stamp != self._there.get(name):
                self._fetch_file(name, stamp)
        folders = tuple(f"{name}/" for name in names)
        for name in [name for name in self._there if name.startswith(folders)]:
            if name not in there:
                (self._folder / name).unlink(missing_ok=True)
                self._there.pop(name)
                self._here.pop(name, None)

    def _fetch_file(self, name: str, stamp: Stamp) -> None:
        # That there is a video is all that a worker wants to know of it.
        is_there = name.endswith(".mp4") and bool(self._shares)
        content = b"" if is_there else self._call("read", name)
        if content is None:
            return
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        replace_file(
            path, lambda temporary: temporary.write_bytes(content), survives_power_cut=False
        )
        self._there[name] = stamp
        if name not in _OWN and (here := stamp_of(path)) is not None:
            self._here[name] = here


def _all_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if str(path.relative_to(folder)) not in _OWN)


def _raise(answer: object) -> None:
    if isinstance(answer, OSError):
        raise answer


def _remove_dead() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdigit() and not process_lives(int(number)):
            shutil.rmtree(folder, ignore_errors=True)
