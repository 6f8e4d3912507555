"""Snapshots: practise where Mario dies."""

from mario_envkit.snapshots.archive import ArchiveWarning, SnapshotArchive
from mario_envkit.snapshots.context import Context, HasContext, Restorable, Saved
from mario_envkit.snapshots.entry import ArchivedSnapshot, Place, Practice
from mario_envkit.snapshots.handler import Outcome, SnapshotHandler, Verdict
from mario_envkit.snapshots.make import create_snapshot_mario_env
from mario_envkit.snapshots.options import SnapshotOptions
from mario_envkit.snapshots.state_machine import (
    QuietStretch,
    SnapshotAction,
    SnapshotContext,
    SnapshotEvent,
    SnapshotRules,
    SnapshotState,
    SnapshotStateMachine,
)
from mario_envkit.snapshots.vector import MarioSnapshotVectorEnv
from mario_envkit.snapshots.wrapper import SnapshotMarioEnvironment

__all__ = [
    "ArchiveWarning",
    "ArchivedSnapshot",
    "Context",
    "HasContext",
    "MarioSnapshotVectorEnv",
    "Outcome",
    "Place",
    "Practice",
    "QuietStretch",
    "Restorable",
    "Saved",
    "SnapshotAction",
    "SnapshotArchive",
    "SnapshotContext",
    "SnapshotEvent",
    "SnapshotHandler",
    "SnapshotMarioEnvironment",
    "SnapshotOptions",
    "SnapshotRules",
    "SnapshotState",
    "SnapshotStateMachine",
    "Verdict",
    "create_snapshot_mario_env",
]
