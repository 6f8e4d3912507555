"""One tree of exceptions: catch :class:`MarioEnvkitError` to catch everything we raise on purpose.

Every message is one sentence that says what was wrong, what was expected, and what to do.
The command lines print that sentence and exit with status 2.
"""

from __future__ import annotations

from gymnasium import error as gym


class MarioEnvkitError(Exception):
    """Base of every error this distribution raises on purpose."""


class RomError(MarioEnvkitError):
    """A cartridge image is missing, damaged, or not one we know."""


class BackendUnavailable(MarioEnvkitError):
    """The emulator backend asked for is not installed, or cannot do what was asked."""


class EmulatorClosed(MarioEnvkitError):
    """An emulator was used after ``close()``."""


class ResetRequired(MarioEnvkitError, gym.ResetNeeded):
    """A step was asked for before the first ``reset()``, or after the episode's end."""


class CallOrderError(MarioEnvkitError, gym.AlreadyPendingCallError, gym.NoAsyncCallError):
    """Two threads step one environment, or the halves of a vector's step do not follow each other.

    Also Gymnasium's errors for calls between ``step_async()`` and ``step_wait()``.
    """

    def __init__(self, message: str) -> None:
        MarioEnvkitError.__init__(self, message)
        self.name = "step"  # as Gymnasium's have it


class SnapshotMismatch(MarioEnvkitError):
    """A snapshot is damaged, or belongs to another core, format or cartridge."""


class ArchiveError(MarioEnvkitError):
    """A directory of snapshots cannot be read or written."""


class HotspotError(MarioEnvkitError):
    """A hotspot file is damaged, cannot be written, or has other buckets than those wanted."""


class LevelError(MarioEnvkitError, ValueError):
    """A level, or a schedule of levels, that the game does not have."""


class OptionError(MarioEnvkitError, ValueError):
    """A keyword argument or command-line option has a value that makes no sense."""


class UnknownArgument(OptionError, TypeError):
    """A keyword argument that does not exist."""


class AttributeUnavailable(MarioEnvkitError, AttributeError):
    """A vector environment was asked for what only single environments have."""


class WindowClosed(MarioEnvkitError):
    """The person who watched has closed the game's window."""


class DisplayUnavailable(MarioEnvkitError):
    """A window was asked for where there is no display, or no library to open one."""


class ReplayError(MarioEnvkitError):
    """A file with a recorded game is damaged, or the game does not go as recorded."""


class TrainerError(MarioEnvkitError):
    """A trainer is unknown, or its plug-in cannot be loaded."""


class AgentError(MarioEnvkitError):
    """An agent of somebody's own cannot be loaded, or does what no agent may."""


class ResultError(MarioEnvkitError):
    """A file with the result of an evaluation is damaged, or of another version."""


class ConfigError(MarioEnvkitError, ValueError):
    """A training configuration is malformed or does not fit the run it is meant for."""


class HubError(MarioEnvkitError):
    """A model hub refused, or could not be reached."""


class RunError(MarioEnvkitError):
    """A run directory is missing or damaged, or cannot be written."""


class RunBusy(RunError):
    """Another process is at work in a directory of a run or a bench."""


class CheckpointError(RunError):
    """No checkpoint of a run can be read."""
