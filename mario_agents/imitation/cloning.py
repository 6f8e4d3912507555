"""Behaviour cloning of demonstrations, before a run's first step of its own."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from mario_agents.acting.environments import learned_from
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import NO_IMITATION, Algorithm
from mario_agents.core.gradients import trainable
from mario_agents.core.optimizers import adamw
from mario_agents.core.types import Learner
from mario_agents.core.updater import Updater
from mario_agents.imitation.demonstrations import Demonstration, demonstrations, sources_of
from mario_agents.imitation.kept import check_size
from mario_agents.imitation.steps import Steps
from mario_agents.nn.device import resolve_device
from mario_agents.ops.imitation import CloningLoss, cloning_loss
from mario_agents.run import RunDir
from mario_agents.run.log_levels import NOTICE
from mario_agents.run.weights import storable
from mario_agents.telemetry import CsvSink
from mario_agents.telemetry.progress import TrainingProgress
from mario_envkit.errors import ConfigError, RunError
from mario_envkit.files import replace_file

BATCH, SEQUENCE = 256, 16
"""Steps of a batch; and those in a row that a network with a memory learns from, beginning with
nothing remembered."""
LR, LR_END, MOST_NORM = 1e-3, 1e-4, 1.0
SMOOTHING, VALUE_COEF = 0.05, 0.5
HELD_OUT, MOST_HELD_OUT = 10, 4_096
"""One in so many is not learned from; of these so many steps at most are looked at."""
ROWS = 20
"""Times that the held-out steps are looked at."""
MEASURED = ("loss", "accuracy", "value_loss", "held_out_loss", "held_out_accuracy")

log = logging.getLogger(__name__)


def split(games: Sequence[Demonstration]) -> tuple[list[Demonstration], list[Demonstration]]:
    """What is learned from, and what is held out to see how well it carries over: one in ten runs
    if there are as many, with all the games that were played of them; else one in ten games."""
    runs = {game.source for game in games}
    if len(runs) >= HELD_OUT:
        held = [game for game in games if game.source % HELD_OUT == HELD_OUT - 1]
        return [game for game in games if game.source % HELD_OUT != HELD_OUT - 1], held
    held = list(games[HELD_OUT - 1 :: HELD_OUT])
    kept = [game for number, game in enumerate(games) if number % HELD_OUT != HELD_OUT - 1]
    return kept, held


def check_imitation(algorithm: Algorithm[Any, Any], config: TrainConfig) -> None:
    """Check that a new run can imitate what its options name; nothing is played.

    Raises:
        ConfigError, ReplayError: if not.
    """
    if config.imitate is None:
        return
    if algorithm.imitates is None:
        raise ConfigError(NO_IMITATION)
    if "id" in algorithm.env_kwargs(config):
        raise ConfigError("imitate: runs are of the game, and this trainer plays something else.")
    sources = sources_of(config)
    if algorithm.keeps_demonstrations(config):
        check_size(sources, config)


def imitate(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    learner: Learner,
    run: RunDir,
) -> None:
    """Let a new run's learner imitate the runs that its options name; rows go to ``imitation.csv``.

    Args:
        algorithm, config, run: of the run.
        learner: on the CPU, with the weights to begin with.

    Raises:
        ConfigError, ReplayError: if it cannot; see :func:`check_imitation`.
        RunError: if the disk refuses.
    """
    sources = sources_of(config)
    gamma = float(getattr(config, "gamma", 1.0))
    env_kwargs = learned_from(config, algorithm.env_kwargs(config))
    played = demonstrations(sources, env_kwargs, gamma=gamma, seed=config.seed)
    games = list(played)
    cloning = Cloning(algorithm, config, learner, games)
    log.info(
        "Imitating %d runs, played %d times to the flag: %d agent steps, %d of them held out.",
        *(len(sources), len(games), cloning.kept_steps, cloning.held_steps),
    )
    found = cloning.learn(run)
    log.log(
        NOTICE,
        "Imitated %d runs, at best after %d updates: the likeliest action is then the demonstrated "
        "one in %.1f %% of the steps, in %s of those held out.",
        *(len(sources), found["update"], 100 * found["accuracy"]),
        "none" if not cloning.held_steps else f"{100 * found['held_out_accuracy']:.1f} %",
    )


class Cloning:
    """A learner and what it imitates.

    Args:
        algorithm, config: of the run.
        learner: on the CPU, where it is again in the end.
        games: demonstrations, one at least.

    Attributes:
        kept_steps, held_steps: agent steps that are learned from, and held out.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        learner: Learner,
        games: Sequence[Demonstration],
    ) -> None:
        self._algorithm, self._config, self._learner = algorithm, config, learner
        self._device = resolve_device(config.device)
        remembers = getattr(config, "recurrent_type", "none") != "none"
        length = min(SEQUENCE, *(len(game.action) for game in games)) if remembers else 1
        kept, held = split(games)
        self._kept = Steps.of(kept, length)
        self._held = Steps.of(held, length) if held else None
        self._rng = np.random.default_rng([config.seed, 0x696D])
        self.kept_steps = len(self._kept.action)
        self.held_steps = 0 if self._held is None else len(self._held.action)

    def learn(self, run: RunDir) -> dict[str, float]:
        """Make all updates, and go back to the weights that carried over best: those with the least
        loss in what is held out, or the last ones if nothing is.

        Returns:
            What was measured then, by the names of :data:`MEASURED`, and ``update``, when.
        """
        config, learner = self._config, self._learner
        learner.model.to(self._device)
        updater = Updater.with_cosine(
            *(learner, adamw()),
            lr=LR,
            lr_end=LR_END,
            packets=config.imitate_steps,
            max_norm=MOST_NORM,
        )
        rows = CsvSink(run.csv_path("imitation"), MEASURED)
        count = max(BATCH // self._kept.length, 1)
        every = max(config.imitate_steps // ROWS, 1)
        sums: dict[str, float] = dict.fromkeys(("loss", "accuracy", "value_loss"), 0.0)
        found: dict[str, float] = {}
        begun, best = 0, Best()
        try:
            with TrainingProgress(config.imitate_steps, enabled=config.ui) as display:
                for update in range(1, config.imitate_steps + 1):
                    loss = self._loss(self._kept.draw(count, self._rng))
                    updater.apply(
                        torch.autograd.grad(
                            # What only exploration has (noise in weights) has no part in it.
                            *(loss.loss, trainable(learner.model)),
                            materialize_grads=True,
                        )
                    )
                    sums["loss"] += float(loss.cross_entropy)
                    sums["accuracy"] += float(loss.accuracy)
                    sums["value_loss"] += float(loss.value_loss)
                    if update % every == 0 or update == config.imitate_steps:
                        means = {name: total / (update - begun) for name, total in sums.items()}
                        found = {**means, **self._look_at_held_out()}
                        rows.write(update, found)
                        best.offer(update, found, learner.model)
                        sums, begun = dict.fromkeys(sums, 0.0), update
                    display.update(update, **{"imitation, accuracy": found.get("accuracy", 0.0)})
            return best.restore(learner.model)
        finally:
            rows.close()
            learner.model.to("cpu")

    def _loss(self, batch: Mapping[str, NDArray[Any]]) -> CloningLoss:
        tensors = {name: torch.from_numpy(x).to(self._device) for name, x in batch.items()}
        logits, value = self._algorithm.policy_value(
            self._learner, tensors["obs"], tensors["is_first"]
        )
        return cloning_loss(
            logits.flatten(0, 1),
            value.flatten(),
            tensors["action"].flatten(),
            tensors["value"].flatten(),
            smoothing=SMOOTHING,
            value_coef=VALUE_COEF,
        )

    @torch.no_grad()
    def _look_at_held_out(self) -> dict[str, float]:
        """Mean loss and accuracy of the steps held out; NaN if there are none."""
        held = self._held
        if held is None or not len(held.starts):
            return dict.fromkeys(("held_out_loss", "held_out_accuracy"), float("nan"))
        count = max(BATCH // held.length, 1)
        most = min(len(held.starts), MOST_HELD_OUT // held.length)
        chosen = held.starts[np.linspace(0, len(held.starts) - 1, most).astype(np.int64)]
        losses = [
            (self._loss(held.windows(chosen[first : first + count])), len(chosen[first:][:count]))
            for first in range(0, len(chosen), count)
        ]
        return {
            "held_out_loss": sum(float(x.cross_entropy) * n for x, n in losses) / len(chosen),
            "held_out_accuracy": sum(float(x.accuracy) * n for x, n in losses) / len(chosen),
        }


class Best:
    """The weights with the least loss in the steps held out (early stopping)."""

    def __init__(self) -> None:
        self._found: dict[str, float] = {}
        self._weights: dict[str, Tensor] = {}

    def offer(self, update: int, found: Mapping[str, float], model: nn.Module) -> None:
        """Keep a model's weights unless better ones are known; ``found`` was measured with them."""
        loss = found["held_out_loss"]
        if not self._found or math.isnan(loss) or loss < self._found["held_out_loss"]:
            self._found = {**found, "update": update}
            self._weights = {name: x.detach().clone() for name, x in model.state_dict().items()}

    def restore(self, model: nn.Module) -> dict[str, float]:
        """Let the model have them; what was measured then, and ``update``."""
        model.load_state_dict(self._weights)
        return self._found


def write_imitated(run: RunDir, weights: Mapping[str, Tensor]) -> None:
    """Write ``imitated.safetensors``, the weights of the whole model.

    Raises:
        RunError: if the disk refuses.
    """
    tensors = {f"model.{name}": tensor for name, tensor in storable(weights).items()}
    try:
        replace_file(run.imitated_path, lambda path: save_file(tensors, path))
    except (OSError, SafetensorError) as error:
        raise RunError(f"Cannot write {run.imitated_path} ({error}).") from error
