"""Does a device compute what the CPU computes? The first updates of every network, with the same
weights, batches and random numbers."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from mario_agents.config import make_config
from mario_agents.nn.device import resolve_device
from mario_envkit.errors import ConfigError
from mario_envkit.plugins import load_trainer
from tests.gpu.job import Found, Job
from tests.gpu.learning_parts import Player, Update, Updates
from tests.gpu.options import (
    EXACT,
    OBSERVATIONS,
    SMALL_SCREEN,
    STEP,
    VARIANTS,
    Variant,
    fields_of,
    networks_of,
    small_options,
)

UPDATES = 2
NEARBY, AROUND = 5, 1e-4
"""Other weights that gradients are compared at, if they differ at those of an update: how many, and
how far away: weights of 0 move as well, since a picture's black regions are 0 behind a convolution
without a bias, where a ReLU has its corner (a bias of 1e-8 moves the gradient by 4 % there)."""


def check(job: Job, trainer: str) -> Found:
    """Every network and kind of observation in float32, and the variants of one network."""
    plugin, device = load_trainer(trainer), resolve_device(job.device)
    found, left_out = Found(""), list[str]()
    for observation in OBSERVATIONS:
        options = small_options(trainer, plugin.config_class, observation) | {"device": "cpu"}
        if observation == "pixels" and device.type == "cpu":
            options |= SMALL_SCREEN
        possible = 0
        for network in networks_of(plugin.config_class):
            chosen = options if network is None else {**options, "network": network}
            try:
                config = make_config(plugin.config_class, chosen, source="small options")
            except ConfigError:
                continue
            possible += 1
            where = f"{observation} {network or ''}".strip()
            if job.late:
                left_out.append(where)
                continue
            _compare(plugin.algorithm, config, device, where, found, variants=possible == 1)
        if not possible:
            found.problems.append(f"{trainer} has no network for {observation}.")
    worst = max((each["loss"] for each in found.figures.values()), default=0.0)
    found.said = f"{len(found.figures)} networks and variants, losses differ by {worst:.0e} at most"
    if left_out:
        found.said += f"; no time for {', '.join(left_out)}"
    return found


def _compare(
    algorithm: Any, config: Any, device: torch.device, where: str, found: Found, *, variants: bool
) -> None:
    try:
        expected, spaces = _on_cpu(algorithm, config)
    except ConfigError:  # a network that cannot see this
        return
    several = {"": EXACT}
    if variants:  # of one network, which is the cheapest
        have = fields_of(type(config))
        several |= {name: each for name, each in VARIANTS.items() if have >= set(each.options)}
    for name, variant in several.items():
        label, begin = f"{where} {name}".strip(), time.monotonic()
        try:
            different = dataclasses.replace(config, **variant.options)
            with _arithmetic(variant):
                actual = _again(algorithm, different, spaces, expected, device)
        except Exception as error:
            traceback.print_exc()
            found.problems.append(f"{label}: {type(error).__name__}: {_first_line(error)}")
            continue
        figures = _differences(expected, actual)
        if not figures["gradients"] <= variant.gradients:
            figures["as computed"] = figures["gradients"]
            with _arithmetic(variant):
                figures["gradients"] = _nearby(
                    algorithm, config, different, spaces, expected, device
                )
        found.figures[label] = {**figures, "seconds": round(time.monotonic() - begin, 2)}
        found.problems += _judge(label, figures, variant, expected, actual)
        print(label, found.figures[label], flush=True)


def _on_cpu(algorithm: Any, config: Any) -> tuple[list[Update], Any]:
    cpu = torch.device("cpu")
    player = Player(algorithm, config, cpu)
    try:
        updates = Updates(algorithm, config, player.learner, cpu)
        return list(islice(player.learn(updates), UPDATES)), player.spaces
    finally:
        player.close()


def _again(
    algorithm: Any, config: Any, spaces: Any, expected: list[Update], device: torch.device
) -> list[Update]:
    learner = algorithm.learner(config, spaces)
    learner.model.to(device)
    updates = Updates(algorithm, config, learner, device)
    for update in expected:
        updates.repeat(update)
    return updates.made


def _nearby(
    algorithm: Any,
    config: Any,
    different: Any,
    spaces: Any,
    expected: list[Update],
    device: torch.device,
) -> float:
    """The largest relative difference of gradients where weights are a little different from those
    of the updates: the median of several such places.

    The gradient of a maximum, or of a ReLU, jumps where two numbers are equal, as in a picture's
    flat regions; and then a device's rounding decides. Elsewhere it does not.
    """
    cpu, largest = torch.device("cpu"), 0.0
    for update in expected:
        found = []
        for seed in range(NEARBY):
            rng = torch.Generator().manual_seed(seed)
            weights = {
                name: each + AROUND * torch.randn(each.shape, generator=rng)
                if each.is_floating_point()
                else each
                for name, each in update.before.items()
            }
            gradients = []
            for chosen, place in ((different, device), (config, cpu)):
                learner = algorithm.learner(chosen, spaces)
                learner.model.to(place)
                updates = Updates(algorithm, chosen, learner, place)
                gradients.append(updates.gradients_of(update.batch, weights))
            ours, theirs = gradients
            norm = math.hypot(*(float(each.norm()) for each in theirs))
            found.append(_distance(ours, theirs) / max(norm, 1e-8))
        largest = max(largest, statistics.median(found))
    return largest


def _differences(expected: list[Update], actual: list[Update]) -> dict[str, float]:
    """The largest relative ones of all updates: of losses, of gradients, and of what an optimizer
    made of the same gradients."""
    pairs = list(zip(actual, expected, strict=True))
    changes = [_distance(a.after.values(), b.after.values()) for a, b in pairs]
    sizes = [_distance(b.after.values(), b.before.values()) for _, b in pairs]
    norms = [math.hypot(*(float(each.norm()) for each in b.gradients)) for _, b in pairs]
    gradients = [_distance(a.gradients, b.gradients) for a, b in pairs]
    return {
        "loss": max(abs(a.loss - b.loss) / max(abs(b.loss), 0.1) for a, b in pairs),
        "gradients": max(d / max(norm, 1e-8) for d, norm in zip(gradients, norms, strict=True)),
        "step": max(d / max(size, 1e-8) for d, size in zip(changes, sizes, strict=True)),
    }


def _distance(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> float:
    return math.hypot(
        *(float((a.double() - b.double()).norm()) for a, b in zip(ours, theirs, strict=True))
    )


def _judge(
    label: str,
    figures: dict[str, float],
    variant: Variant,
    expected: list[Update],
    actual: list[Update],
) -> list[str]:
    limits = {"loss": variant.loss, "gradients": variant.gradients, "step": STEP}
    wrong = [name for name, limit in limits.items() if not figures[name] <= limit]
    if not wrong:
        return []
    texts = [f"{name} by {figures[name]:.1e} (up to {limits[name]:.0e})" for name in wrong]
    ours, theirs = (", ".join(f"{x.loss:.6g}" for x in each) for each in (actual, expected))
    return [
        f"{label}: another result than on the CPU: {', '.join(texts)}; losses {ours} instead of "
        f"{theirs}."
    ]


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
