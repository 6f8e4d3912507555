"""Does a device compute what the CPU computes? The first updates of a network, with the same
weights, batches and random numbers."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from mario_agents.config import make_config
from mario_agents.nn.device import resolve_device
from mario_envkit.plugins import load_trainer
from tests.gpu.job import Found, Job
from tests.gpu.learning_parts import Player, Update, Updates
from tests.gpu.options import (
    EXACT,
    STEP,
    VARIANTS,
    Variant,
    fields_of,
    on_device,
    small_options,
)

CPU = torch.device("cpu")
UPDATES = 2
NEARBY, AROUND = 3, 1e-4
"""Other weights that gradients are compared at, if they differ at those of an update: how many, and
how far away. Weights of 0 move as well: a picture's black regions are 0 behind a convolution
without a bias, where a ReLU has its corner (rounding of 1e-8 moves the gradient by 4 % there)."""


def check(job: Job, trainer: str, options: dict[str, Any], variants: bool) -> Found:
    """A network in float32, and perhaps the variants of it."""
    plugin, device = load_trainer(trainer), resolve_device(job.device)
    small = small_options(trainer, plugin.config_class, options["observation"])
    chosen = {**small, **on_device(options, device), "device": "cpu"}
    config = make_config(plugin.config_class, chosen, source="small options")
    several = {"float32": EXACT}
    if variants:
        have = fields_of(type(config))
        several |= {name: each for name, each in VARIANTS.items() if have >= set(each.options)}
    compared, found = Compared(plugin.algorithm, config, device), Found("")
    for label, variant in several.items():
        begin = time.monotonic()
        try:
            with _arithmetic(variant):
                figures, problem = compared.with_variant(variant)
        except Exception as error:
            traceback.print_exc()
            found.problems.append(f"{label}: {type(error).__name__}: {_first_line(error)}")
            continue
        found.figures[label] = {**figures, "seconds": round(time.monotonic() - begin, 2)}
        found.problems += [f"{label}: {problem}"] if problem else []
        print(label, found.figures[label], flush=True)
    found.said = "; ".join(
        f"{label} {each['loss']:.0e}, {each['gradients']:.0e}"
        for label, each in found.figures.items()
    )
    found.said = f"losses and gradients differ by {found.said}"
    return found


class Compared:
    """The first updates of a configuration on the CPU, to be held against those on a device."""

    def __init__(self, algorithm: Any, config: Any, device: torch.device) -> None:
        self._algorithm, self.config, self._device = algorithm, config, device
        player = Player(algorithm, config, CPU)
        self._spaces = player.spaces
        try:
            updates = Updates(algorithm, config, player.learner, CPU)
            self._expected = list(islice(player.learn(updates), UPDATES))
        finally:
            player.close()

    def with_variant(self, variant: Variant) -> tuple[dict[str, float], str]:
        """The largest relative differences, and a sentence if one of them is too large."""
        config = dataclasses.replace(self.config, **variant.options)
        updates = self._updates(config, self._device)
        for update in self._expected:
            updates.repeat(update)
        figures = _differences(self._expected, updates.made)
        if not figures["gradients"] <= variant.gradients:
            figures["as computed"] = figures["gradients"]
            figures["gradients"] = self.nearby(config)
        return figures, _judge(figures, variant, self._expected, updates.made)

    def _updates(self, config: Any, device: torch.device) -> Updates:
        learner = self._algorithm.learner(config, self._spaces)
        learner.model.to(device)
        return Updates(self._algorithm, config, learner, device)

    def nearby(self, config: Any) -> float:
        """The largest relative difference of gradients where weights are a little different from
        those of the updates: the median of several such places.

        The gradient of a maximum, or of a ReLU, jumps where two numbers are equal, as in a
        picture's flat regions; and then a device's rounding decides. Elsewhere it does not.
        """
        ours, theirs = self._updates(config, self._device), self._updates(self.config, CPU)
        largest = 0.0
        for update in self._expected:
            found = []
            for seed in range(NEARBY):
                weights = moved(update.before, seed)
                expected = theirs.gradients_of(update.batch, weights)
                actual = ours.gradients_of(update.batch, weights)
                found.append(_distance(actual, expected) / max(_norm(expected), 1e-8))
            largest = max(largest, statistics.median(found))
        return largest


def moved(weights: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Weights close by."""
    rng = torch.Generator().manual_seed(seed)
    return {
        name: each + AROUND * torch.randn(each.shape, generator=rng)
        if each.is_floating_point()
        else each
        for name, each in weights.items()
    }


def _differences(expected: list[Update], actual: list[Update]) -> dict[str, float]:
    """The largest relative ones of all updates: of losses, of gradients, and of what an optimizer
    made of the same gradients."""
    pairs = list(zip(actual, expected, strict=True))
    changes = [_distance(a.after.values(), b.after.values()) for a, b in pairs]
    sizes = [_distance(b.after.values(), b.before.values()) for _, b in pairs]
    norms = [_norm(b.gradients) for _, b in pairs]
    gradients = [_distance(a.gradients, b.gradients) for a, b in pairs]
    return {
        "loss": max(abs(a.loss - b.loss) / max(abs(b.loss), 0.1) for a, b in pairs),
        "gradients": max(d / max(norm, 1e-8) for d, norm in zip(gradients, norms, strict=True)),
        "step": max(d / max(size, 1e-8) for d, size in zip(changes, sizes, strict=True)),
    }


def _norm(tensors: Iterable[Tensor]) -> float:
    return math.hypot(*(float(each.norm()) for each in tensors))


def _distance(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> float:
    return math.hypot(
        *(float((a.double() - b.double()).norm()) for a, b in zip(ours, theirs, strict=True))
    )


def _judge(
    figures: dict[str, float], variant: Variant, expected: list[Update], actual: list[Update]
) -> str:
    limits = {"loss": variant.loss, "gradients": variant.gradients, "step": STEP}
    wrong = [name for name, limit in limits.items() if not figures[name] <= limit]
    if not wrong:
        return ""
    texts = [f"{name} by {figures[name]:.1e} (up to {limits[name]:.0e})" for name in wrong]
    ours, theirs = (", ".join(f"{x.loss:.6g}" for x in each) for each in (actual, expected))
    return f"another result than on the CPU: {', '.join(texts)}; losses {ours} instead of {theirs}."


@contextmanager
def _arithmetic(variant: Variant) -> Iterator[None]:
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [each.allow_tf32 for each in backends]
    for each in backends:
        each.allow_tf32 = variant.tf32
    try:
        yield
    finally:
        for each, value in zip(backends, before, strict=True):
            each.allow_tf32 = value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0]
