"""What an algorithm is: how to make the parts that it learns with.

:mod:`mario_agents.runtime.run` trains whatever implements :class:`Algorithm`, in one process or in
many, and knows nothing else of it. ``docs/pages/how-to/add-an-algorithm.md`` in the repository
shows how to write one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from torch import Tensor, nn

from mario_agents.config import Share, TrainConfig
from mario_agents.core.dataset import Dataset
from mario_agents.core.policy import Policy
from mario_agents.core.types import Learner
from mario_agents.core.updater import Updater
from mario_agents.telemetry import TIME_SHARES, MetricDef, Stopwatch
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import ConfigError, TrainerError

NO_IMITATION = (
    "imitate: this trainer has no way to learn from demonstrations; leave it out, or choose "
    "another trainer, such as ppo or ddqn."
)

Config = TypeVar("Config", bound=TrainConfig)
OwnLearner = TypeVar("OwnLearner", bound=Learner)


@dataclass(frozen=True, slots=True)
class Spaces:
    """What one environment shows and takes; plain values, so that they travel and are stored.

    Attributes:
        obs_shape: of one observation, such as ``(4, 84, 84)``; observations are uint8.
        actions: number of actions.
    """

    obs_shape: tuple[int, ...]
    actions: int

    @classmethod
    def of(cls, envs: VectorEnv[Any, Any, Any]) -> Spaces:
        """The spaces of one of ``envs``.

        Raises:
            TrainerError: if observations are no uint8 boxes, or actions are not numbered.
        """
        observation, action = envs.single_observation_space, envs.single_action_space
        if not (isinstance(observation, Box) and observation.dtype == np.uint8):
            raise TrainerError(f"Training needs uint8 observations in a Box, not {observation}.")
        if not isinstance(action, Discrete):
            raise TrainerError(f"Training needs a Discrete action space, not {action}.")
        return cls(observation.shape, int(action.n))

    def metadata(self) -> dict[str, object]:
        """What a file of weights says about them; JSON-able."""
        return {"obs_shape": list(self.obs_shape), "actions": self.actions}


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Where in a run a worker stands, and where its random numbers come from.

    Attributes:
        worker: its number, from 0.
        workers: how many there are.
        seed: of the run.
        start: agent steps of the whole run when it was started or resumed.
        generation: how many processes were this worker before this one. A resumed run and a
            replaced worker get new games, not once more those they began with.
        device: where its model lives.
        stopwatch: measures :data:`mario_agents.telemetry.TIME_SHARES`. A dataset that asks the
            model for values does so within ``stopwatch.measure("time_inference")``; the rest is
            measured for it.
        central: whether it is no worker's place, but that of the one learner whom all workers feed
            with experience; ``worker`` is 0 there.
        demonstrations: runs that a dataset is to hold beside what is played, for an algorithm that
            ``imitates`` by replay; see :func:`mario_agents.imitation.kept.demonstration_storage`.
    """

    worker: int
    workers: int
    seed: int
    start: int
    generation: int
    device: torch.device
    stopwatch: Stopwatch = field(
        default_factory=lambda: Stopwatch(share.name for share in TIME_SHARES), compare=False
    )
    central: bool = False
    demonstrations: tuple[Run, ...] = ()

    @property
    def shards(self) -> tuple[int, ...]:
        """Numbers of the workers whose steps a dataset in this place is given."""
        return tuple(range(self.workers)) if self.central else (self.worker,)

    def seed_for(self, purpose: str) -> int:
        """A seed of its own for each worker and ``purpose`` ("games", "replay"...)."""
        purpose_word = zlib.crc32(purpose.encode())
        words = [self.seed, self.worker, self.start, self.generation, purpose_word]
        return int(np.random.SeedSequence(words).generate_state(1)[0])


class Algorithm(Protocol[Config, OwnLearner]):
    """The parts of an algorithm. Whoever derives from this class need not write those that have a
    default.

    Attributes:
        shares: what its workers can send, see :class:`~mario_agents.config.groups.SharingOptions`;
            the first is the default.
        imitates: what its runs can do with demonstrations (``--imitate``). By "policy" they begin
            with behaviour cloning, for which it has :meth:`policy_value`; by "replay" its datasets
            mix them with what is played
            (:class:`~mario_agents.replay.with_demonstrations.WithDemonstrations`), and runs begin
            with updates from them alone. None is nothing.

    An algorithm is a class without arguments at the top of a module: workers are processes that
    import it by its name and build their parts by themselves. It holds no state.
    """

    shares: tuple[Share, ...] = ("gradients",)
    imitates: Literal["policy", "replay"] | None = None

    @property
    def config_class(self) -> type[Config]:
        """The trainer's configuration."""

    @property
    def metrics(self) -> tuple[MetricDef, ...]:
        """What it measures beside :data:`mario_agents.telemetry.WORKER_METRICS`: scalars that the
        learner's ``compute_loss`` returns, and gauges of policy and dataset. Rows, TensorBoard, the
        dashboard and the report show them as these definitions say."""

    def env_kwargs(self, config: Config) -> dict[str, Any]:
        """Keyword arguments of the environments, by default the game's; ``id`` names others, see
        :meth:`mario_envkit.plugins.Trainer.env_kwargs`."""
        return config.env_kwargs()

    def learner(self, config: Config, spaces: Spaces) -> OwnLearner:
        """A learner on the CPU with initial weights that depend on ``config.seed`` alone."""

    def policy(self, config: Config, learner: OwnLearner, context: WorkerContext) -> Policy:
        """What plays with ``learner.model``, which is on ``context.device``: in training, and, with
        the weights of :meth:`player` alone, in ``eval`` and ``watch``."""

    def collect_steps(self, config: Config) -> int:
        """A worker's agent steps, over all its environments, between two rounds of batches."""

    def dataset(
        self, config: Config, learner: OwnLearner, spaces: Spaces, context: WorkerContext
    ) -> Dataset:
        """Where batches come from, of the steps of ``context.shards``, and of
        ``context.demonstrations``; may ask ``learner`` for values."""

    def updater(self, config: Config, learner: OwnLearner) -> Updater:
        """What applies gradients to ``learner.model``."""

    def player(self, learner: OwnLearner) -> nn.Module:
        """The part of the model that plays: its state dict is the run's ``weights.safetensors``.

        By default the whole.
        """
        return learner.model

    def policy_value(
        self, learner: OwnLearner, obs: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the networks say of ``T`` steps of ``B`` games at whose beginning nothing is
        remembered, for imitation (:attr:`imitates`), with gradients.

        Args:
            learner: the learner.
            obs: ``(T, B, ...)`` uint8, on its device.
            is_first: ``(T, B)`` bool.

        Returns:
            Logits of the actions ``(T, B, actions)``, and values ``(T, B)``.
        """
        raise ConfigError(NO_IMITATION)

    def keeps_demonstrations(self, config: Config) -> bool:
        """Whether datasets of a run that imitates have a use for ``context.demonstrations``; by
        default where it ``imitates`` by replay."""
        return self.imitates == "replay"

    def begin_with(self, learner: OwnLearner, weights: Mapping[str, Tensor]) -> None:
        """Let a new learner have the weights that a :meth:`player` of the same shape ended with.

        Who learns with copies of the part that plays overrides this, and gives them to all.
        """
        self.player(learner).load_state_dict(weights)


def share_of(algorithm: Algorithm[Any, Any], config: TrainConfig) -> Share:
    """What the workers of a run send.

    Raises:
        ConfigError: if the algorithm cannot learn from that.
    """
    share = config.share or algorithm.shares[0]
    if share not in algorithm.shares:
        raise ConfigError(
            f"This trainer cannot share {share}; its workers share {' or '.join(algorithm.shares)}."
        )
    if share == "experience" and config.synchronous:
        raise ConfigError(
            "Workers that share experience do not wait for one another; leave out --synchronous, "
            "or give --share gradients."
        )
    return share


def name_of(algorithm: Algorithm[Any, Any]) -> str:
    """``module:Class`` of an algorithm, for :func:`algorithm_named` in another process.

    Raises:
        TrainerError: if the class cannot be found by its name.
    """
    kind = type(algorithm)
    if "." in kind.__qualname__ or kind.__module__ == "__main__":
        raise TrainerError(
            f"The algorithm {kind.__qualname__} must be a class at the top of an importable "
            "module, so that workers can import it; with --workers 0 there are none."
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def algorithm_named(name: str) -> Algorithm[Any, Any]:
    """The algorithm that :func:`name_of` named."""
    from importlib import import_module

    module, _, kind = name.partition(":")
    algorithm: Algorithm[Any, Any] = getattr(import_module(module), kind)()
    return algorithm
