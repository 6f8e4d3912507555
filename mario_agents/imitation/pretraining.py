"""Updates from demonstrations alone, before a run's first step of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.gradients import GradientComputer
from mario_agents.core.graphed import capture_for
from mario_agents.core.types import Learner
from mario_agents.imitation.cloning import ROWS
from mario_agents.nn.device import resolve_device
from mario_agents.replay.with_demonstrations import WithDemonstrations
from mario_agents.run import RunDir
from mario_agents.run.log_levels import NOTICE
from mario_agents.telemetry import CsvSink
from mario_agents.telemetry.progress import TrainingProgress
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import TrainerError

log = logging.getLogger(__name__)


def pretrain(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    learner: Learner,
    spaces: Spaces,
    run: RunDir,
    runs: Sequence[Run],
) -> None:
    """Let a new run's learner make ``imitate_steps`` updates, by its own loss and with an optimizer
    of its own, from batches of demonstrations; rows go to ``imitation.csv``.

    Args:
        algorithm, config, spaces, run: of the run.
        learner: on the CPU, with the weights to begin with.
        runs: that are demonstrated.

    Raises:
        ConfigError, ReplayError: if the agent cannot play them.
        RunError: if the disk refuses.
    """
    found = _updated(algorithm, config, learner, spaces, run, runs)
    accuracy = found.get("demo_accuracy")
    log.log(
        NOTICE,
        "Learned from demonstrations of %d runs in %d updates%s.",
        *(len(runs), config.imitate_steps),
        ""
        if accuracy is None
        else f": the best action is the demonstrated one in {100 * accuracy:.1f} % of the steps",
    )


def _updated(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    learner: Learner,
    spaces: Spaces,
    run: RunDir,
    runs: Sequence[Run],
) -> dict[str, float]:
    """Make the updates; what was measured in the last ones, by name."""
    device = resolve_device(config.device)
    learner.model.to(device)
    context = WorkerContext(0, 1, config.seed, 0, 0, device, demonstrations=tuple(runs))
    dataset = algorithm.dataset(config, learner, spaces, context)
    if not isinstance(dataset, WithDemonstrations):
        raise TrainerError(
            "imitate: this trainer says that it imitates by replay, but its dataset is a "
            f"{type(dataset).__name__}; it has to make a WithDemonstrations of the context's runs."
        )
    updater = algorithm.updater(config, learner)
    capture = capture_for(learner, device, wanted=config.cuda_graphs)
    computer = GradientComputer(learner, device, capture)
    total, every = config.imitate_steps, max(config.imitate_steps // ROWS, 1)
    rows: CsvSink | None = None
    sums: dict[str, float] = {}
    found: dict[str, float] = {}
    begun = 0
    try:
        with TrainingProgress(total, enabled=config.ui) as display:
            for update in range(1, total + 1):
                batch = dataset.demonstrated()
                measured = computer.add(batch)
                dataset.feedback(batch, measured)
                updater.apply(computer.take())
                for name, value in measured.items():
                    if not value.ndim:
                        sums[name] = sums.get(name, 0.0) + float(value)
                if update % every == 0 or update == total:
                    found = {name: each / (update - begun) for name, each in sums.items()}
                    rows = rows or CsvSink(run.csv_path("imitation"), tuple(found))
                    rows.write(update, found)
                    sums, begun = {}, update
                display.update(update, **{"demonstrations, loss": found.get("loss", 0.0)})
    finally:
        if rows is not None:
            rows.close()
        learner.model.to("cpu")
    return found
