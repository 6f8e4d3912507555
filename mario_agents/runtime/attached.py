"""What a process of a run is told, and how it takes part, wherever it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from mario_agents.config import TrainConfig, make_config
from mario_agents.core.algorithm import Algorithm, Spaces, algorithm_named
from mario_agents.run import RunDir
from mario_agents.runtime.cores import torch_threads
from mario_agents.runtime.experience import StepChannels
from mario_agents.runtime.transport import Board, GradientPool, Weights
from mario_agents.telemetry.events import EventLogHandler, EventPublisher
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import MarioEnvkitError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a process is told of its run: plain values.

    Attributes:
        run: path of the run directory, where the main process is.
        algorithm: by its name, see :func:`~mario_agents.core.algorithm.name_of`.
        options: the configuration as plain values.
        spaces: of the environments.
        events, token: where events go, and the token they carry.
        checkpoint: name of the checkpoint that the run continues from, or None.
        step: agent steps of that checkpoint, or 0.
        games: where the curriculum is by that checkpoint, if it is one of a run in one process.
        began: when training began, on the clock of :func:`time.monotonic`.
        demonstrations: runs that datasets are to hold, as text.
    """

    run: str
    algorithm: str
    options: dict[str, Any]
    spaces: Spaces
    events: str
    token: str
    checkpoint: str | None
    step: int
    games: dict[str, Any] | None
    began: float
    demonstrations: tuple[str, ...] = ()

    def config(self) -> TrainConfig:
        """The configuration."""
        kind = algorithm_named(self.algorithm).config_class
        config: TrainConfig = make_config(kind, self.options, source=f"{self.run}/config.json")
        return config

    def demonstrated(self) -> tuple[Run, ...]:
        """The runs that datasets are to hold demonstrations of."""
        return tuple(map(Run.from_json, self.demonstrations))


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways from a process to the others, see :mod:`mario_agents.runtime.transport`.

    Attributes:
        pool, steps: of the workers' gradients, or of their steps; the other is None.
        weights, board: of the run.
    """

    pool: GradientPool | None
    steps: StepChannels | None
    weights: Weights
    board: Board


class AttachedRun:
    """A run as one of its processes sees it: its plan, with the objects that the plan names.

    Args:
        plan, ways: of the run.
        run: the run directory, as this process has it.
        source: name of this process, such as ``worker_0``.
        generation: number of times it has been replaced.
        settle: makes sure that what was written there is in the run directory of the main process;
            raises RunError if it cannot be.
    """

    def __init__(
        self,
        plan: RunPlan,
        ways: Ways,
        run: RunDir,
        source: str,
        generation: int,
        settle: Callable[[], object] = lambda: None,
    ) -> None:
        self.plan, self.ways, self.run, self.settle = plan, ways, run, settle
        self.algorithm: Algorithm[Any, Any] = algorithm_named(plan.algorithm)
        self.config = plan.config()
        self.publisher = EventPublisher(
            plan.events, run=plan.token, source=source, generation=generation
        )


def take_part(
    attach: Callable[[], AttachedRun], main: Callable[[AttachedRun], object]
) -> str | None:
    """Run ``main``, with its log sent to the main process of the run.

    Returns:
        None, or one sentence about what ended it.
    """
    try:
        attached = attach()
        torch.set_num_threads(torch_threads(attached.config))
        _log_to(attached.publisher)
        try:
            main(attached)
        except Exception:
            log.exception("This process ends with an error.")
            raise
        finally:
            attached.publisher.close()
    except MarioEnvkitError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _log_to(publisher: EventPublisher) -> None:
    """Send this process's log to the main process, which writes it down."""
    handler = EventLogHandler(publisher)
    for package in ("mario_agents", "mario_envkit"):
        root = logging.getLogger(package)
        root.setLevel(logging.INFO)
        root.propagate = False
        root.addHandler(handler)
