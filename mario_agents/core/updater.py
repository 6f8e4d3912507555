"""The second half of an update: from gradients to weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mario_agents.config import LrScaling
from mario_agents.core.gradients import trainable
from mario_agents.core.optimizers import OptimizerFactory
from mario_agents.core.types import Learner, Metrics
from mario_agents.core.weight_average import WeightAverage
from mario_agents.ops.clipping import Clip, clip_by_global_norm
from mario_agents.ops.schedules import cosine_with_warmup, lr_factor
from mario_envkit.errors import CheckpointError, TrainerError


class ParameterGroup:
    """Parameters that are clipped together and have a learning rate of their own.

    Args:
        parameters: such as ``learner.model.parameters()``; those that ask for no gradient (target
            networks) are left out.
        lr: learning rate by the number of packets of gradients applied so far, of which an update
            takes one or the mean of several: a run with more workers makes larger updates, not
            more packets.
        clip: limits the gradients, such as
            :func:`~mario_agents.ops.clipping.clip_by_global_norm`.
        name: of the group, where there are several: part of the names of its metrics.
        options: of the optimizer, for this group only, such as ``{"eps": 1e-8}``.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: Callable[[int], float],
        clip: Clip,
        name: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.lr, self.clip, self.name, self.options = lr, clip, name, dict(options or {})


class Updater:
    """Owns the weights: clips gradients, takes the optimizer's step, and lets the learner follow.

    Args:
        learner: its model is changed in place; its ``after_update`` is called after every step.
        optimizer: makes the optimizer, such as :func:`mario_agents.core.optimizers.adamw`.
        groups: the trainable parameters of the model, each in one of them.

    Raises:
        TrainerError: if a trainable parameter is in no group, or in more than one.
    """

    def __init__(
        self, learner: Learner, optimizer: OptimizerFactory, *groups: ParameterGroup
    ) -> None:
        self.learner, self.groups = learner, groups
        self.lr_scaling: LrScaling = "none"
        """How learning rates grow with the number of packets that an update is made of."""
        self.average: WeightAverage | None = None
        """Follows the weights that play, if these are to be averaged."""
        self.updates = self.packets = 0
        self._parameters = trainable(learner.model)
        grouped = [id(parameter) for group in groups for parameter in group.parameters]
        if sorted(grouped) != sorted(map(id, self._parameters)):
            raise TrainerError(
                f"The updater's groups have {len(grouped)} parameters, and the model has "
                f"{len(self._parameters)} that can be trained; put each of them in one group."
            )
        self._optimizer = optimizer(
            [{"params": group.parameters, "lr": group.lr(0), **group.options} for group in groups]
        )

    @classmethod
    def with_cosine(
        cls,
        learner: Learner,
        optimizer: OptimizerFactory,
        *,
        lr: float,
        lr_end: float = 0.0,
        warmup: int = 0,
        packets: int,
        max_norm: float,
    ) -> Updater:
        """With all parameters in one group: a learning rate that falls by half a cosine, and a
        limit for the norm of all gradients together.

        Args:
            learner, optimizer: as above.
            lr, lr_end, warmup: of :func:`~mario_agents.ops.schedules.cosine_with_warmup`.
            packets: of gradients in the whole run, after which the learning rate is ``lr_end``.
            max_norm: of the gradients of an update.
        """
        return cls.with_rate(
            learner,
            optimizer,
            lr=cosine_with_warmup(lr, lr_end, warmup=warmup, total=packets),
            max_norm=max_norm,
        )

    @classmethod
    def with_rate(
        cls,
        learner: Learner,
        optimizer: OptimizerFactory,
        *,
        lr: Callable[[int], float],
        max_norm: float,
    ) -> Updater:
        """With all parameters in one group, and a limit for the norm of all gradients together.

        Args:
            learner, optimizer: as above.
            lr: of :class:`ParameterGroup`.
            max_norm: of the gradients of an update.
        """
        parameters, clip = learner.model.parameters(), clip_by_global_norm(max_norm)
        return cls(learner, optimizer, ParameterGroup(parameters, lr=lr, clip=clip))

    def apply(self, gradients: Sequence[Tensor], packets: int = 1) -> Metrics:
        """One update from the mean gradients of ``packets`` packets, in the order of
        :func:`~mario_agents.core.gradients.trainable`.

        The gradients belong to the updater from now on: clipping changes them.

        Returns:
            ``lr`` and ``grad_norm``: the first group's learning rate, and the norm of all gradients
            before clipping; with several groups also ``lr_NAME`` and ``grad_norm_NAME`` of each.

        Raises:
            TrainerError: if they are not finite; the weights are unchanged.
        """
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = _laid_out(gradient, parameter)
        factor = lr_factor(self.lr_scaling, packets)
        rates = [factor * group.lr(self.packets) for group in self.groups]
        norms = [float(group.clip(group.parameters)) for group in self.groups]
        if not all(map(math.isfinite, norms)):
            self._optimizer.zero_grad(set_to_none=True)
            raise TrainerError(
                f"The gradients of update {self.updates} are not finite, so training has diverged; "
                "start a new run with a smaller learning rate."
            )
        for options, lr in zip(self._optimizer.param_groups, rates, strict=True):
            options["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.learner.after_update()
        self.updates += 1
        self.packets += packets
        if self.average is not None:
            self.average.update(self.updates)
        metrics = {"grad_norm": math.hypot(*norms), "lr": rates[0]}
        if len(norms) > 1:
            for group, norm, lr in zip(self.groups, norms, rates, strict=True):
                metrics |= {f"grad_norm_{group.name}": norm, f"lr_{group.name}": lr}
        return metrics

    def tensors(self) -> dict[str, Tensor]:
        """Weights, their average and the optimizer's moments by name, for a checkpoint."""
        found = {f"model.{k}": v for k, v in self.learner.model.state_dict().items()}
        if self.average is not None:
            found |= {f"average.{k}": v for k, v in self.average.weights().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        return found

    def state(self) -> dict[str, Any]:
        """Counters for a checkpoint, JSON-able."""
        return {"updates": self.updates, "packets": self.packets}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`; the schedules go on where they were.

        Raises:
            CheckpointError: if the weights do not fit the model.
        """
        moments: dict[int, dict[str, Tensor]] = {}
        weights: dict[str, Tensor] = {}
        average: dict[str, Tensor] = {}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "model":
                weights[rest] = value
            elif kind == "average":
                average[rest] = value
            elif kind == "optimizer":
                index, _, moment = rest.partition(".")
                moments.setdefault(int(index), {})[moment] = value
        try:
            self.learner.model.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"The checkpoint's weights do not fit the model: {' '.join(str(error).split())}"
            ) from error
        if self.average is not None:
            self.average.restore(average)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.updates, self.packets = int(state["updates"]), int(state["packets"])


def _laid_out(gradient: Tensor, parameter: nn.Parameter) -> Tensor:
    """``gradient`` in memory as ``parameter`` is; a copy if it was not.

    That of a convolution over pictures with their channels last is laid out like them, and a fused
    optimizer goes through memory in order, whatever is where.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
