"""The parts of a trainer on a device, without a run: to see what an update computes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.gradients import DeviceBatch, GradientComputer
from mario_agents.core.graphed import capture_for
from mario_envkit.curriculum.runs import Run

MOST_ROUNDS = 200
NumpyBatch = dict[str, NDArray[Any]]


class Player:
    """Plays with a trainer's policy and offers its dataset's batches, with demonstrations of
    ``runs`` where there are some; close it."""

    def __init__(
        self, algorithm: Any, config: Any, device: torch.device, runs: tuple[Run, ...] = ()
    ) -> None:
        envs = make_vector(algorithm.env_kwargs(config), config.num_envs)
        self.spaces, self.algorithm, self.config = Spaces.of(envs), algorithm, config
        self.device = device
        self.learner = algorithm.learner(config, self.spaces)
        self.learner.model.to(device)
        context = WorkerContext(0, 1, config.seed, 0, 0, device, demonstrations=runs)
        policy = algorithm.policy(config, self.learner, context)
        self._actor = Actor(envs, policy, seed=config.seed)
        self.dataset = algorithm.dataset(config, self.learner, self.spaces, context)
        self.feedback = self.dataset.feedback
        self.close = envs.close

    def learn(self, updates: Updates) -> Iterator[Update]:
        """Play, and learn from each batch that is due, without end."""
        for batch in self.batches():
            measured = updates.update(_copied(batch))
            self.feedback(batch, measured)
            yield updates.made[-1]

    def first_batch(self) -> NumpyBatch:
        """Play until there is one."""
        return _copied(next(self.batches()))

    def played(self, seconds: float) -> tuple[NumpyBatch, float]:
        """Play for so long, and until there is a batch; returns the last one, and the agent steps
        for each second of playing behind the first round."""
        batch: NumpyBatch = {}
        rounds, steps, spent = self._rounds(), 0, 0.0
        self._fed(next(rounds)[0], batch)
        while spent < seconds or not batch:
            begin = time.perf_counter()
            at, made = next(rounds)
            spent += time.perf_counter() - begin
            steps += made
            self._fed(at, batch)
        return batch, steps / spent

    def _fed(self, at: int, batch: NumpyBatch) -> None:
        """Let the dataset give all batches that are due, and keep the first one of them."""
        for number, each in enumerate(self.dataset.batches(at)):
            if not number:
                batch.update(_copied(each))

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Play, and give each batch that is due; :attr:`feedback` takes what was measured on it."""
        for at, _ in islice(self._rounds(), MOST_ROUNDS):
            yield from self.dataset.batches(at)
        raise AssertionError(f"{MOST_ROUNDS} rounds led to too few batches")

    def _rounds(self) -> Iterator[tuple[int, int]]:
        """Play without end; all steps so far, and those of each round."""
        steps, at = self.algorithm.collect_steps(self.config), 0
        while True:
            made = self._actor.collect(steps, at, lambda step: self.dataset.add(step, 0)).steps
            at += made
            yield at, made


def _copied(batch: Mapping[str, NDArray[Any]]) -> NumpyBatch:
    return {name: np.array(array) for name, array in batch.items()}


class Update(NamedTuple):
    """One update; everything is on the CPU.

    Attributes:
        before, after: all tensors of the model.
        batch: what was learned from.
        loss: a number.
        gradients: before they are clipped.
    """

    before: dict[str, Tensor]
    batch: NumpyBatch
    loss: float
    gradients: list[Tensor]
    after: dict[str, Tensor]


class Updates:
    """A learner and its optimizer on a device.

    Args:
        recording: keep :attr:`made`; random numbers of an update then depend on its number alone.

    Attributes:
        learner: has the model.
        made: the updates so far.
    """

    def __init__(
        self,
        algorithm: Any,
        config: Any,
        learner: Any,
        device: torch.device,
        *,
        recording: bool = True,
    ) -> None:
        self.made: list[Update] = []
        self.learner, self._device = learner, device
        self._updater = algorithm.updater(config, learner)
        # What is recorded on a GPU cannot ask for its loss, nor have the CPU's noise.
        capture = capture_for(learner, device, wanted=config.cuda_graphs and not recording)
        self._computer = GradientComputer(learner, device, capture)
        self._recording = recording
        if not recording:
            return
        compute = learner.compute_loss

        def keeping(batch: Any) -> Any:
            loss, measured = compute(batch)
            self._loss = loss.detach()
            return loss, measured

        learner.compute_loss = keeping

    def update(self, batch: NumpyBatch) -> Mapping[str, Tensor]:
        """Learn from a batch; returns what the learner measured."""
        before, measured, gradients = self._weights(), *self._compute(batch)
        kept = [each.detach().cpu().clone() for each in gradients]
        self._updater.apply(gradients)
        self.made.append(Update(before, batch, float(self._loss), kept, self._weights()))
        return measured

    def timed(self, batch: NumpyBatch) -> dict[str, float]:
        """Learn from a batch without recording it; returns the seconds of each part: of the batch
        until it is on the device, of its gradients, and of the optimizer."""
        seconds: dict[str, float] = {}
        began = time.perf_counter()

        def ended(part: str) -> None:
            nonlocal began
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            now = time.perf_counter()
            seconds[part], began = now - began, now

        moved = DeviceBatch(self.learner, batch, self._device)
        ended("batch")
        self._computer.add(moved)
        gradients = self._computer.take()
        ended("gradients")
        self._updater.apply(gradients)
        ended("optimizer")
        return seconds

    @property
    def failure(self) -> str:
        """Why an update could not be recorded, if it could not."""
        return self._computer.computation.failure

    def repeat(self, update: Update) -> None:
        """Compute an update of another device with the weights that it had, then take its optimizer
        step, from its gradients: a difference of one update is none of the next."""
        self.learner.model.load_state_dict(update.before)
        _, gradients = self._compute(update.batch)
        kept = [each.detach().cpu().clone() for each in gradients]
        loss = float(self._loss)
        self._updater.apply(
            [g.copy_(other) for g, other in zip(gradients, update.gradients, strict=True)]
        )
        self.made.append(Update(update.before, update.batch, loss, kept, self._weights()))

    def gradients_of(self, batch: NumpyBatch, weights: Mapping[str, Tensor]) -> list[Tensor]:
        """Of a batch with such weights, on the CPU; nothing is updated."""
        self.learner.model.load_state_dict(weights)
        return [each.cpu() for each in self._compute(batch)[1]]

    def _compute(self, batch: NumpyBatch) -> tuple[Mapping[str, Tensor], list[Tensor]]:
        torch.manual_seed(len(self.made))
        with SameNoise():
            measured = self._computer.add(batch)
        return measured, self._computer.take()

    def _weights(self) -> dict[str, Tensor]:
        state = self.learner.model.state_dict()
        return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


class SameNoise(TorchDispatchMode):
    """Random numbers are the CPU's, wherever they are used: every device draws the same ones."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        tensors = [each for each in args if isinstance(each, Tensor)]
        device = kwargs.get("device") or (tensors[0].device if tensors else "cpu")
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        here = tree_map(lambda x: x.cpu() if isinstance(x, Tensor) else x, args)
        drawn = func(*here, **kwargs)
        if func.overloadpacket.__name__.endswith("_"):
            return args[0].copy_(drawn)
        return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, drawn)
