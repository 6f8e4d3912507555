"""Off-policy experience: transitions in a replay buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mario_agents.acting.actor import Actor
from mario_agents.core.dataset import NumpyBatch
from mario_agents.replay.buffer import UniformReplay
from mario_agents.replay.prioritized import PrioritizedReplay
from mario_agents.telemetry.episodes import CollectResult


class ReplayExperience:
    """Transitions in a replay buffer, with one batch for so many agent steps.

    Args:
        collector: plays into ``replay``.
        epsilon: probability of a random action by the run's agent steps; one for all environments
            or ``(num_envs,)``.
        batch_size: transitions in a batch.
        collect_steps: agent steps in one call of :meth:`collect`.
        learning_starts: transitions in the buffer before the first batch.
        train_every: agent steps for each batch.
        beta: of prioritized replay, by the run's agent steps.
        save_replay: whether a checkpoint holds the buffer too.
    """

    def __init__(
        self,
        collector: Actor,
        replay: UniformReplay,
        *,
        epsilon: Callable[[int], float | Tensor],
        batch_size: int,
        collect_steps: int,
        learning_starts: int,
        train_every: int,
        beta: Callable[[int], float],
        save_replay: bool,
    ) -> None:
        self.collector, self.replay = collector, replay
        self._epsilon, self._beta = epsilon, beta
        self._batch_size, self._collect_steps = batch_size, collect_steps
        self._learning_starts, self._train_every = learning_starts, train_every
        self._save_replay = save_replay
        self._credit = 0

    def collect(self, step: int) -> CollectResult:
        """See :class:`Experience`."""
        epsilon = self._epsilon(step)
        collected = self.collector.collect(self._collect_steps, epsilon)
        if len(self.replay) >= self._learning_starts:
            self._credit += collected.steps
        if isinstance(self.replay, PrioritizedReplay):
            self.replay.beta = self._beta(step + collected.steps)
        return collected

    def batches(self) -> Iterator[NumpyBatch]:
        """See :class:`Experience`."""
        while self._credit >= self._train_every:
            self._credit -= self._train_every
            yield self.replay.sample(self._batch_size)

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """See :class:`Experience`; ``priority`` ``(B,)`` goes to the buffer."""
        if "priority" in measured:
            priority = measured["priority"].cpu().numpy().astype(np.float32)
            self.replay.update_priorities(batch["index"], priority)

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`Experience`."""
        tensors = {"rng.actions": self.collector.rng.get_state()}
        if self._save_replay:
            for name, array in self.replay.state_dict().items():
                tensors[f"replay.{name}"] = torch.from_numpy(array)
        return tensors

    def state(self) -> dict[str, Any]:
        """See :class:`Experience`."""
        state = {"credit": self._credit, "replay_rng": self.replay.rng.bit_generator.state}
        if isinstance(self.replay, PrioritizedReplay):
            state["beta"] = self.replay.beta
        return state

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """See :class:`Experience`; the games begin anew."""
        self._credit = int(state["credit"])
        self.replay.rng.bit_generator.state = state["replay_rng"]
        self.collector.rng.set_state(tensors["rng.actions"])
        if isinstance(self.replay, PrioritizedReplay):
            self.replay.beta = float(state["beta"])
        saved = {
            name.removeprefix("replay."): tensor.numpy()
            for name, tensor in tensors.items()
            if name.startswith("replay.")
        }
        if saved:
            self.replay.load_state_dict(saved)
            # Nothing may be summed across the gap.
            self.replay.cut()
