"""The coordinator's half of an update: from gradients to weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mario_agents.core.gradients import trainable
from mario_agents.core.types import Learner, Metrics
from mario_agents.ops.schedules import cosine_with_warmup
from mario_envkit.errors import CheckpointError, TrainerError


class Updater:
    """Owns the weights: clipping, AdamW, learning rate, target networks.

    AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (ICLR 2019).

    Args:
        learner: its model is changed in place.
        lr, lr_min: learning rate after the warm-up, and at the end.
        warmup, total_packets: lengths in packets of gradients, of which an update takes one or the
            mean of several, see :func:`~mario_agents.ops.schedules.cosine_with_warmup`. A run with
            more workers makes larger updates, not more packets.
        weight_decay: of AdamW.
        max_grad_norm: gradients are scaled down to this norm.
        tau: share by which targets move to the online weights in each update.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        lr: float,
        lr_min: float,
        warmup: int,
        total_packets: int,
        weight_decay: float,
        max_grad_norm: float,
        tau: float,
    ) -> None:
        self.learner = learner
        self.max_grad_norm, self.tau = max_grad_norm, tau
        self.updates = self.packets = 0
        self._lr = lr
        self._factor = cosine_with_warmup(total_packets, warmup, lr_min / lr)
        self._parameters = trainable(learner.model)
        # Fused: one pass over the weights, a quarter of the time on a CPU.
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=lr, eps=1e-5, weight_decay=weight_decay, fused=True
        )

    @property
    def lr(self) -> float:
        """Learning rate of the next update; it depends on the number of packets alone."""
        return self._lr * self._factor(self.packets)

    def apply(self, gradients: Sequence[Tensor], packets: int = 1) -> Metrics:
        """One update from the mean gradients of ``packets`` packets, by trainable parameter.

        The gradients belong to the updater from now on: clipping changes them.

        Raises:
            TrainerError: if they are not finite; the weights are unchanged.
        """
        lr = self.lr
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self.max_grad_norm))
        if not math.isfinite(norm):
            self._optimizer.zero_grad(set_to_none=True)
            raise TrainerError(
                f"The gradients of update {self.updates} are not finite, so training has diverged; "
                "start a new run with a smaller learning rate."
            )
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.learner.update_targets(self.tau)
        self.updates += 1
        self.packets += packets
        return {"grad_norm": norm, "lr": lr}

    def tensors(self) -> dict[str, Tensor]:
        """Weights and the optimizer's moments by name, for a checkpoint."""
        found = {f"model.{k}": v for k, v in self.learner.model.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        return found

    def state(self) -> dict[str, Any]:
        """Counters for a checkpoint, JSON-able."""
        return {"updates": self.updates, "packets": self.packets}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`; the schedule goes on where it was.

        Raises:
            CheckpointError: if the weights do not fit the model.
        """
        moments: dict[int, dict[str, Tensor]] = {}
        weights: dict[str, Tensor] = {}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "model":
                weights[rest] = value
            elif kind == "optimizer":
                index, _, moment = rest.partition(".")
                moments.setdefault(int(index), {})[moment] = value
        try:
            self.learner.model.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"The checkpoint's weights do not fit the model: {' '.join(str(error).split())}"
            ) from error
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.updates, self.packets = int(state["updates"]), int(state["packets"])
