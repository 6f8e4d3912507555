"""How far a worker process is in its curriculum, in a file of its own.

A run in one process has this in its checkpoints. Checkpoints of a run with worker processes are the
coordinator's, which knows nothing of their games: each worker writes down by itself how far it is,
as often as checkpoints are made, and at its end. Its replacement goes on from there, and so does a
resumed run.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from mario_agents.run import RunDir
from mario_agents.run.storage import Deferrable
from mario_agents.runtime.step_interval import StepInterval
from mario_agents.runtime.worker_envs import WorkerEnvs
from mario_envkit.files import parse_json, replace_text

log = logging.getLogger(__name__)


class CurriculumFile:
    """The position of one worker's games on the disk.

    Args:
        run: the run.
        worker: its number.
        interval: agent steps of the run between two times that it is written.
        step: agent steps so far.
    """

    def __init__(self, run: RunDir, worker: int, *, interval: int, step: int) -> None:
        self._path = run.curriculum_path(worker)
        self._due = StepInterval(interval, step)
        self._writing = Deferrable(f"curriculum/{self._path.name}")

    def read(self) -> tuple[int, dict[str, Any]] | None:
        """The step it was written at, and :meth:`WorkerEnvs.state`; None if there is none."""
        try:
            content = parse_json(self._path.read_bytes())
            return int(content["step"]), dict(content["games"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged (%r): the curriculum begins anew.", self._path, error)
            return None

    def write(self, games: WorkerEnvs, step: int) -> None:
        """Write it now; a disk that refuses is tried again the next time."""
        self._writing.attempt(lambda: self._write(games, step))

    def tick(self, games: WorkerEnvs, step: int) -> None:
        """:meth:`write` if it is time to."""
        if self._due.due(step):
            self.write(games, step)

    def end(self, games: WorkerEnvs, step: int) -> None:
        """Write it for the last time.

        Raises:
            RunError: if the disk refuses.
        """
        self.write(games, step)
        self._writing.settle()

    def _write(self, games: WorkerEnvs, step: int) -> None:
        self._path.parent.mkdir(exist_ok=True)
        replace_text(self._path, json.dumps({"step": step, "games": games.state()}) + "\n")
