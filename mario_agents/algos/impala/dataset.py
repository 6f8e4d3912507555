"""New and old unrolls, with the entropy bonus of their time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.dataset import NumpyBatch
from mario_agents.imitation.self_imitation import DemonstratedWindows
from mario_agents.nn.actor_critic import ActorCritic
from mario_agents.replay.storage import Schema, Storage
from mario_agents.replay.unroll_queue import UnrollQueue


class ImpalaUnrolls(UnrollQueue):
    """Unrolls as the options say.

    Args:
        config: lengths and shares.
        model: says what is remembered.
        spaces: of the environments.
        context: which workers play, and seeds.
        demonstrations: of which each batch has some beside it, if there are any.
    """

    def __init__(
        self,
        config: ImpalaConfig,
        model: ActorCritic,
        spaces: Spaces,
        context: WorkerContext,
        demonstrations: DemonstratedWindows,
    ) -> None:
        initial: Schema = model.core.columns()
        if model.noise_size:
            initial = {**initial, "noise": ((model.noise_size,), np.float32)}
        storage = Storage(
            config.storage_steps(len(context.shards)),
            config.num_envs,
            spaces.obs_shape,
            workers=context.shards,
            stacked=config.frame_stack > 1,
            extras={"logits": ((spaces.actions,), np.float32)},
            short_episodes=True,
        )
        super().__init__(
            storage,
            np.random.default_rng(context.seed_for("unrolls")),
            length=config.rollout_steps,
            batch_size=config.batch,
            replayed=config.replayed,
            alpha=config.per_alpha if config.per else 0.0,
            beta=config.per_beta,
            initial=initial,
            most_waiting=config.most_waiting,
        )
        self._demonstrations = demonstrations
        self._entropy_beta = config.scheduled("entropy_beta")
        self._gamma = config.schedules.get("gamma")

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """Those of the queue, with ``entropy_beta`` ``(B,)`` float32, ``gamma`` if that has a
        schedule, and what was demonstrated beside them."""
        now = {"entropy_beta": self._entropy_beta(at)}
        if self._gamma is not None:
            now["gamma"] = self._gamma(at)
        for batch in super().batches(at):
            count = len(batch["weight"])
            numbers = {name: np.full(count, x, np.float32) for name, x in now.items()}
            yield {**batch, **numbers, **self._demonstrations.draw()}

    def state(self) -> dict[str, Any]:
        """The states of the generators that draw old unrolls, and demonstrations."""
        return {**super().state(), **self._demonstrations.state()}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`state`."""
        super().restore(tensors, state)
        self._demonstrations.restore(state)
