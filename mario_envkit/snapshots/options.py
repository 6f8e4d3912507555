"""What an environment with snapshots may be told about them: the one list of these arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mario_envkit.arguments import as_bool, as_choice, as_file, as_path
from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.runs import Run, load_run
from mario_envkit.curriculum.start_states import StartStates, resolve_start_states
from mario_envkit.errors import OptionError
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.state_machine import SnapshotRules

if TYPE_CHECKING:
    from typing_extensions import Self

HOTSPOT_MODES = ("shared", "read")
RESTORE_MODES = ("in_episode", "on_reset")


@dataclass(frozen=True)
class SnapshotOptions:
    """Keyword arguments of ``MarioSnapshot-v0`` and of all that is made for it.

    They are checked here, and plain values afterwards.

    Attributes:
        hotspot_path: file of death hotspots, read at true starts, see ``hotspots``; may be shared
            by many processes. None keeps them in memory.
        checkpoint_interval: frames without a save after which one is due.
        max_restores_without_progress: restores in a row that lead nowhere.
        restore: "in_episode" or "on_reset".
        archive: a :class:`SnapshotArchive`, which environments of one process may share; a
            directory, which processes may share; None for one of its own.
        restore_noise: let a restore bring back the random generator too, so that sticky actions
            repeat themselves exactly. The default gives every attempt its own luck: practice that
            repeats one draw of it teaches that draw.
        hotspots: "shared" adds our deaths to the file at ``hotspot_path``, now and then and on
            ``close()``; "read" never writes it, for runs in which one process gathers the deaths
            of all. Our own then count until the file is next read, which is taken to hold them.
            Or, instead of a path, a :class:`~mario_envkit.curriculum.hotspot_file.SharedHotspots`,
            which environments of one process may share.
        start_states: the share of episodes that begin at archived snapshots, like 0.35; or a
            ``StartStates``: ``StartStateSampler`` of
            :mod:`mario_envkit.curriculum.start_states`, or ``BackwardStarts`` of
            :mod:`mario_envkit.curriculum.backward`; None begins all truly.
        backward: a :class:`~mario_envkit.curriculum.runs.Run` that reaches the flag, or the file
            of one, along which to learn from its end: ``start_states=BackwardStarts(backward)``.

    Raises:
        OptionError: for values that make no sense.
        ReplayError: if the file of ``backward`` is not a run.
    """

    hotspot_path: str | os.PathLike[str] | None = None
    checkpoint_interval: int = 500
    max_restores_without_progress: int = 3
    restore: str = "in_episode"
    archive: SnapshotArchive | str | os.PathLike[str] | None = None
    restore_noise: bool = False
    hotspots: str | SharedHotspots = "shared"
    start_states: float | StartStates | None = None
    backward: Run | str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        path, archive, backward = self.hotspot_path, self.archive, self.backward
        shared = isinstance(self.hotspots, SharedHotspots)
        rules = self.rules
        checked = {
            "hotspot_path": None if path is None else str(as_file("hotspot_path", path)),
            "checkpoint_interval": rules.checkpoint_interval,
            "max_restores_without_progress": rules.max_restores_without_progress,
            "restore": as_choice("restore", self.restore, RESTORE_MODES),
            "archive": archive
            if archive is None or isinstance(archive, SnapshotArchive)
            else str(as_path("archive", archive)),
            "restore_noise": as_bool("restore_noise", self.restore_noise),
            "hotspots": self.hotspots
            if shared
            else as_choice("hotspots", self.hotspots, HOTSPOT_MODES),
            "backward": backward
            if backward is None or isinstance(backward, Run)
            else str(as_path("backward", backward)),
        }
        if shared and path is not None:
            raise OptionError(
                "hotspot_path and hotspots both say where deaths are known; give one of them."
            )
        if self.start_states is not None and backward is not None:
            raise OptionError(
                "start_states and backward both say where episodes begin; give one of them."
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        self.starts()

    @classmethod
    def taken_from(cls, kwargs: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """The options among keyword arguments, and the other arguments."""
        own = {field.name for field in fields(cls)}
        options = cls(**{name: value for name, value in kwargs.items() if name in own})
        return options, {name: value for name, value in kwargs.items() if name not in own}

    def as_kwargs(self) -> dict[str, Any]:
        """The options as keyword arguments."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def rules(self) -> SnapshotRules:
        """When to save, restore and give up."""
        return SnapshotRules(
            checkpoint_interval=self.checkpoint_interval,
            max_restores_without_progress=self.max_restores_without_progress,
        )

    @cached_property
    def run(self) -> Run | None:
        """The run of ``backward``."""
        return None if self.backward is None else load_run(self.backward)

    def starts(self) -> StartStates | None:
        """Who chooses where an environment's episodes begin; None begins all truly.

        Every call makes one anew, unless ``start_states`` was one: that is shared.
        """
        if self.run is not None:
            return BackwardStarts(self.run)
        return resolve_start_states(self.start_states)
