"""Records the first flag of a run, in a process of low priority beside training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from mario_agents.playback.camera import flag_recorded
from mario_agents.playback.first_success import (
    FIRST_FLAG_VIDEO,
    ActionTrace,
    FlagWatch,
    record_first_flag,
)
from mario_agents.runtime.attended import wait_attended
from mario_agents.runtime.processes.background import BackgroundProcess, ProcessLost, available
from mario_agents.runtime.processes.messages import Logged, Recorded, RecordFlag, decode
from mario_envkit.errors import MarioEnvkitError
from mario_envkit.files import remove_unfinished
from mario_envkit.snapshots.entry import saved_to_bytes
from mario_envkit.vector import MarioVectorEnv

RECORDER = "mario_agents.runtime.processes.flag_recorder"
END_SECONDS = 40.0
"""A worker that ends waits no longer for the video: without a sign of life it would be killed."""
LONGEST_SECONDS = 300.0
"""A video that is not there after this time is given up."""

log = logging.getLogger(__name__)


class FirstFlagRecorder:
    """Records the first flag of a run, unless there is such a video.

    A thread waits for the process that does it; where there cannot be one, the thread does it.

    Args:
        envs: the games.
        env_kwargs: of the games as ``MarioTrain-v0`` takes them.
        directory: of the run's videos.
    """

    def __init__(
        self, envs: MarioVectorEnv, env_kwargs: Mapping[str, Any], directory: Path
    ) -> None:
        self._env_kwargs, self._directory = dict(env_kwargs), directory
        self.envs = FlagWatch(envs, self._keep)
        """The games, watched."""
        self._trace: ActionTrace | None = None
        self._thread: Thread | None = None
        self._process: BackgroundProcess | None = None
        if flag_recorded(directory):
            self.envs.stop()

    def _keep(self, trace: ActionTrace) -> None:
        self._trace = trace

    def tick(self, step: int) -> None:
        """Record a flag that was reached; call it after every round of steps.

        Args:
            step: run-wide agent steps.
        """
        if self._trace is not None:
            trace, self._trace = self._trace, None
            self._thread = Thread(target=self._record, args=(trace, step), daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Stop watching if another worker's first flag has been recorded."""
        if (self._directory / FIRST_FLAG_VIDEO).exists():
            self.envs.stop()

    def close(self) -> None:
        """Wait for a video that is being made, but no longer than :data:`END_SECONDS`."""
        if self._thread is None:
            return
        if not wait_attended(self._over, END_SECONDS) and self._process is not None:
            self._process.kill()
        self._thread.join()

    def _over(self, seconds: float) -> bool:
        """Whether there is no more to wait for, after so many seconds at most."""
        assert self._thread is not None
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _record(self, trace: ActionTrace, step: int) -> None:
        try:
            message = self._message(trace, step) if available() else None
            if message is None:
                kwargs = {**self._env_kwargs, **trace.own}
                record_first_flag(trace, kwargs, self._directory, step)
            else:
                self._record_elsewhere(message)
        except (MarioEnvkitError, OSError) as error:
            log.warning("There is no video of the first flag: %s", error)

    def _record_elsewhere(self, message: bytes) -> None:
        process = self._process = BackgroundProcess(RECORDER)
        try:
            process.send(message)
            while (said := process.receive(LONGEST_SECONDS)) is not None:
                reply: Logged | Recorded = decode(said, Logged | Recorded)
                if isinstance(reply, Recorded):
                    return
                reply.tell()
            raise ProcessLost(f"it was not there after {LONGEST_SECONDS:g} seconds.")
        finally:
            process.close()
            remove_unfinished(self._directory)

    def _message(self, trace: ActionTrace, step: int) -> bytes | None:
        """What the process is told; None if the games have arguments that are no plain values."""
        kwargs = {**self._env_kwargs, **trace.own}
        request = RecordFlag(
            saved_to_bytes(trace.saved),
            trace.actions,
            trace.origin,
            kwargs,
            str(self._directory.absolute()),
            step,
            trace.chances,
        )
        try:
            message = request.encode()
        except TypeError:
            return None
        kept: RecordFlag = decode(message, RecordFlag)
        return message if kept.env_kwargs == _lists(kwargs) else None


def _lists(value: Any) -> Any:
    """``value`` with lists for its tuples, as msgpack has them."""
    if isinstance(value, dict):
        return {name: _lists(each) for name, each in value.items()}
    return [_lists(each) for each in value] if isinstance(value, (list, tuple)) else value
