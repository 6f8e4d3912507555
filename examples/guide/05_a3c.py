"""A3C on level 1-1: workers that play and compute gradients side by side for the same weights.

They take turns here, in one process, so that the result depends on the seed alone: each computes
its gradient with the weights that it last took, and all others have changed these meanwhile.
Left: how far Mario gets, by the steps of all workers. Right: the same by the steps of each.
"""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module

import common
import numpy as np
import torch
from torch import nn

chapter_4 = import_module("04_actor_critic")
GAMES, STEPS, LIMIT, LAMBDA = 8, 8, 100, 0.95


class Worker:
    """Some games, and a copy of the weights.

    Attributes:
        networks: policy and value, as they were when the worker last took the weights.
    """

    def __init__(self, shared: nn.ModuleList, seed: int) -> None:
        self.networks = deepcopy(shared)
        self._games = common.Games(GAMES, seed, LIMIT)
        self._act = common.sampler(self.networks[0], seed)

    def gradient(self) -> tuple[torch.Tensor, common.Array]:
        """Of all weights by a few steps of play, and how far the episodes got that ended there."""
        rollout = self._games.play(self._act, STEPS)
        loss = chapter_4.actor_critic_loss(*self.networks, rollout, LAMBDA)
        return common.flat_gradient(loss, self.networks), rollout.distances()

    def take(self, shared: nn.ModuleList) -> None:
        """Go on with these weights."""
        self.networks.load_state_dict(shared.state_dict())


def apply(gradient: torch.Tensor, shared: nn.ModuleList, optimizer: torch.optim.Optimizer) -> None:
    """What the one who owns the weights does with a gradient that somebody sent."""
    weights = list(shared.parameters())
    parts = gradient.split([weight.numel() for weight in weights])
    for weight, part in zip(weights, parts, strict=True):
        weight.grad = part.view_as(weight)
    optimizer.step()


def train(seed: int, updates: int, workers: int, bins: int) -> list[float]:
    """The mean distance of the episodes that end in each part of the training."""
    shared = common.policy_and_value(seed)
    optimizer = common.adam(shared)
    crowd = [Worker(shared, seed + 100 * i) for i in range(workers)]
    ended = []
    for update in range(updates):
        worker = crowd[update % workers]
        gradient, distances = worker.gradient()  # by weights that are workers - 1 updates old
        apply(gradient, shared, optimizer)
        worker.take(shared)
        ended.append(distances)
    return common.means(ended, updates // bins)


def main() -> None:
    chosen = common.options(__doc__)
    updates, bins = (60, 1) if chosen.quick else (640, 16)
    made, (left, right) = common.figure(2)
    steps = updates * GAMES * STEPS * np.arange(1, bins + 1) / bins
    settings = {
        f"{workers} worker" + "s" * (workers > 1): (updates, workers, bins)
        for workers in (1, 4, 16)
    }
    for name, curves in common.repeat(train, chosen.seeds, settings):
        workers = settings[name][1]
        common.band(left, steps, curves, name)
        common.band(right, steps / workers, curves, name)
        ends = [round(float(np.mean(curve[-4:]))) for curve in curves]
        print(f"{name:10}: distance {ends} at the end, {steps[-1] / workers:.0f} steps each")
    left.set(xlabel="steps of all workers", ylabel="distance in 100 steps, pixels")
    right.set(xlabel="steps of each worker", xscale="log")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
