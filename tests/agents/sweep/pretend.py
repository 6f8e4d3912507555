"""Trials without training: processes that leave behind what a run would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import asdict
from rich.console import Console

from mario_agents.evaluation.conditions import CONDITIONS
from mario_agents.experiments.cell_result import CellResult
from mario_agents.experiments.display import JobsDisplay
from mario_agents.experiments.job import Job
from mario_agents.run.records import EvaluationRecord, PlayedEpisode, evaluation_line
from mario_agents.sweep.optuna_study import open_study
from mario_agents.sweep.plan import SweepLayout, SweepPlan
from mario_agents.sweep.request import SweepRequest
from mario_agents.sweep.trials import Trials
from mario_envkit.files import append
from tests.agents.run_files import DEATH, FLAG

EPISODES = 20
EVALUATIONS = 10
STEPS = 1000
Quality = Callable[[Mapping[str, Any]], float | None]
"""Success of a run with these options in all its evaluations; None if it fails."""


def episodes(success: float, number: int = EPISODES) -> tuple[PlayedEpisode, ...]:
    wins = round(success * number)
    return (FLAG,) * wins + (DEATH,) * (number - wins)


@dataclass
class PretendTraining:
    """A tenth of its budget goes by with each look at it."""

    run: Path
    log: Path
    success: float | None
    spawned: float = field(default_factory=time.time)
    seconds: float = 0.0
    stopped: bool = False
    done: int = 0
    lost: bool = False
    reason: str = ""
    node: str = ""

    @property
    def exit_status(self) -> int | None:
        if self.stopped:
            return 130
        if self.lost:
            return -1
        if self.success is None:
            append(self.log, b"mario-agents: no luck.\n")
            return 2
        if self.done == EVALUATIONS:
            return 0
        step = self.done * STEPS // EVALUATIONS
        self.done += 1
        record = EvaluationRecord(step, episodes(self.success), episodes(self.success), step / 10)
        append(self.run / "evaluations.jsonl", evaluation_line(record))
        return None

    def ask_to_stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.ask_to_stop()


class Launched:
    """Starts pretended processes, and remembers which.

    Args:
        quality: see :data:`Quality`.

    Attributes:
        losses: how many of the next ones are on machines that are gone soon.
    """

    def __init__(self, quality: Quality) -> None:
        self.quality = quality
        self.losses = 0
        self.runs: list[str] = []
        self._success: dict[Path, float | None] = {}

    def __call__(self, words: Sequence[str | Path], log: Path, **slot: int) -> PretendTraining:
        words = [str(word) for word in words]
        given = dict(zip(words[2::2], words[3::2], strict=True))
        if words[0] == "eval":
            run = Path(words[1])
            self._measure(run, Path(given["--out"]), int(given["--episodes"]))
            return PretendTraining(run, log, 1.0, done=EVALUATIONS)
        run = Path(given["--run-dir"])
        assert not run.exists()
        run.mkdir(parents=True)
        self.runs.append(run.name)
        options = json.loads(Path(given["--config"]).read_text())
        self._success[run] = self.quality(options)
        self.losses -= 1
        return PretendTraining(run, log, self._success[run], lost=self.losses >= 0)

    def _measure(self, run: Path, out: Path, number: int) -> None:
        """What ``mario-agents eval`` would find."""
        played = [asdict(one) for one in episodes(self._success[run] or 0.0, number)]
        columns = {name: [one[name] for one in played] for name in played[0]}
        conditions = {name: {"episodes": columns} for name in CONDITIONS}
        out.write_text(json.dumps({"levels": {"1-1": conditions}}))


class Sweep:
    """A sweep of one command, without a display."""

    def __init__(self, folder: Path, quality: Quality, **changes: Any) -> None:
        words = {"preset": "walk", "search": ["length=2..40"], "steps": STEPS, "trials": 6}
        self.plan: SweepPlan = SweepRequest(**{**words, **changes}).plan()
        self.layout = SweepLayout(folder)
        folder.mkdir(exist_ok=True)
        self.study = open_study(self.layout.storage)
        self.launch = Launched(quality)
        display = JobsDisplay(
            self.plan.trials, 0, budget=self.plan.budget, jobs=1, console=Console(quiet=True)
        )
        self.trials = Trials(self.plan, self.layout, self.study, display)

    def begin(self) -> Job:
        job = self.trials.begin(self.launch)
        assert job is not None
        return job

    def go_on(self, job: Job) -> CellResult | None:
        """One look."""
        result = job.poll()
        if result is None:
            self.trials.look({0: job})
        else:
            self.trials.ended(job, result)
        return result

    def finish(self, job: Job) -> CellResult:
        while (result := self.go_on(job)) is None:
            pass
        return result

    def run(self) -> list[CellResult]:
        """All of it, one trial after the other."""
        found = []
        while self.trials.waiting:
            found.append(self.finish(self.begin()))
        self.trials.close()
        return found
