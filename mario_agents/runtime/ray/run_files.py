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
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
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
_GROWING = (".csv", ".jsonl", ".log")
_TENSORBOARD = "events.out.tfevents."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where the run directory is, or another folder, for one process.

    Attributes:
        path: of it, on its node.
        node: id of that.
        files: handle of the actor :class:`~mario_agents.runtime.ray.files_actor.RunFiles` there.
        lease: of the process, which no other has.
    """

    path: str
    node: str
    files: Any
    lease: str = field(default_factory=lambda: uuid.uuid4().hex)

    def for_another(self) -> RunPlace:
        """The same place for another process."""
        return RunPlace(self.path, self.node, self.files)

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method of the files' actor.

        Raises:
            RunError: if it cannot be reached, or the lease is not valid.
        """
        return answer_of(self.files.call.remote(self.lease, method, *arguments))

    @property
    def is_here(self) -> bool:
        """Whether this process is on its node."""
        import ray

        return bool(ray.get_runtime_context().get_node_id() == self.node)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a process needs of a folder elsewhere.

    Attributes:
        begins_with: files and folders that it begins with.
        shares: those that others write, too, while it is at work.
        keeps: patterns of files that are never sent back.
    """

    begins_with: tuple[str, ...]
    shares: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()

    @classmethod
    def by(cls, source: str) -> Wanted:
        """What a process of a run needs of the run directory: ``worker_0`` or ``coordinator``."""
        # Of the main process alone.
        keeps = ("config.json", "death_hotspots.json", "events.json", "run.lock")
        if source == COORDINATOR:
            return cls(
                ("config.json", "coordinator.csv", "evaluations.jsonl", "best.safetensors",
                 "imitated.safetensors", "checkpoint", "videos"), (), keeps
            )  # fmt: skip
        shares = ("death_hotspots.json", "snapshots", "videos")
        begins_with = ("config.json", f"{source}.csv", f"curriculum/{source}.json")
        return cls(begins_with, shares, keeps)


@contextmanager
def copied(call: Callable[..., Any], wanted: Wanted) -> Iterator[RunCopy]:
    """A copy in a folder of this process, which is removed at the end.

    Args:
        call, wanted: as of :class:`RunCopy`.
    """
    _remove_dead()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    copy = RunCopy(folder, call, wanted)
    try:
        yield copy
    finally:
        copy.stop()
        shutil.rmtree(folder, ignore_errors=True)


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
    if place.is_here:
        return take_part(lambda: attach(RunDir.open(Path(place.path)), lambda: None), main)
    with copied(place.call, Wanted.by(source)) as copy:

        def attach_copy() -> AttachedRun:
            copy.begin()
            return attach(RunDir.open(copy.folder), copy.settle)

        def main_at_copy(attached: AttachedRun) -> None:
            with close_at_end(copy):
                main(attached)

        sentence = take_part(attach_copy, main_at_copy)
        return sentence and sentence.replace(str(copy.folder), place.path)


class RunCopy:
    """A folder that has what a process needs of a run directory elsewhere.

    Args:
        folder: empty.
        call: calls a method of :class:`~mario_agents.runtime.ray.files_actor.RunFiles`, which has
            the run directory, by its name; raises RunError where it cannot be reached.
        wanted: what the process needs.

    Attributes:
        folder: the same.
    """

    def __init__(self, folder: Path, call: Callable[..., Any], wanted: Wanted) -> None:
        self.folder, self._call, self._wanted = folder, call, wanted
        self._there: dict[str, Stamp] = {}
        """Of files at the other end that are as they are here."""
        self._here: dict[str, Stamp] = {}
        """The same files here."""
        self._states: dict[str, Deferrable] = {}
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_sending, daemon=True)

    def begin(self) -> None:
        """Fetch what there is, and begin to send what is written."""
        self._fetch([*self._wanted.begins_with, *self._wanted.shares])
        self._thread.start()

    def fetch(self) -> None:
        """Fetch what others have written since."""
        with self._lock:
            self._fetch(list(self._wanted.shares))

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
                if looks % FETCH_EVERY == 0 and self._wanted.shares:
                    self.fetch()
            except (OSError, RunError) as error:
                log.info("Files wait for the next look: %s", error)

    def _send(self) -> None:
        """Send what was written, the oldest first: a manifest comes after what it vouches for."""
        now = stamps_of(self.folder, self._all_files())
        changed = [name for name, stamp in now.items() if stamp != self._here.get(name)]
        for name in sorted(changed, key=lambda name: now[name].modified):
            self._send_file(name, now[name])
        for name in [name for name in self._here if name not in now]:
            error = self._call("remove", name)
            if self._accepted(name, error):
                self._here.pop(name)
                self._there.pop(name, None)

    def _send_file(self, name: str, stamp: Stamp) -> None:
        before, start = self._here.get(name), 0
        grows = name.endswith(_GROWING) or _TENSORBOARD in name
        if grows and before and before.inode == stamp.inode:
            start = min(before.size, stamp.size)
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(start)
                content = file.read(stamp.size - start)
        except FileNotFoundError:  # replaced or removed meanwhile
            return
        answer = self._call("write", name, content, start)
        if answer is None:  # not as it was left there: send it whole, the next time
            self._here.pop(name, None)
        elif self._accepted(name, answer):
            self._here[name], self._there[name] = stamp, answer

    def _accepted(self, name: str, answer: object) -> bool:
        """Whether the other side could do it; what its disk refused is told and tried again."""
        return self._state(name).attempt(lambda: _raise(answer))

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
                (self.folder / name).unlink(missing_ok=True)
                self._there.pop(name)
                self._here.pop(name, None)

    def _fetch_file(self, name: str, stamp: Stamp) -> None:
        # That there is a video is all that a worker wants to know of it.
        is_there = name.endswith(".mp4") and bool(self._wanted.shares)
        content = b"" if is_there else self._call("read", name)
        if content is None:
            return
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(
            path, lambda temporary: temporary.write_bytes(content), survives_power_cut=False
        )
        self._there[name] = stamp
        if not self._kept(name) and (here := stamp_of(path)) is not None:
            self._here[name] = here

    def _all_files(self) -> Iterator[Path]:
        for path in self.folder.rglob("*"):
            if not self._kept(path.relative_to(self.folder).as_posix()):
                yield path

    def _kept(self, name: str) -> bool:
        return any(PurePosixPath(name).match(pattern) for pattern in self._wanted.keeps)


def answer_of(reference: Any) -> Any:
    """What an actor answers.

    Raises:
        RunError: if it cannot be reached, or has raised one.
    """
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, RunError):
            raise cause from None
        raise RunError(f"The run directory cannot be reached ({type(error).__name__}).") from error


def _raise(answer: object) -> None:
    if isinstance(answer, OSError):
        raise answer


def _remove_dead() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdigit() and not process_lives(int(number)):
            shutil.rmtree(folder, ignore_errors=True)
