"""From a batch of unrolls to logits and values, the last observations of episodes included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mario_agents.core.types import Batch
from mario_agents.nn.actor_critic import ActorCritic

MORE_CUTS, MORE_PLACES = 8, 2
"""What the number of truncated episodes in a batch, and in an unroll, is rounded up to."""


class Unrolled(NamedTuple):
    """What the network says now of ``T`` steps of ``B`` games.

    Attributes:
        logits: ``(T, B, actions)``.
        value: ``(T + 1, B)``, last of the observations that the last steps led to.
        final_value: ``(T, B)``, of the observations that truncated episodes ended with; 0
            elsewhere.
    """

    logits: Tensor
    value: Tensor
    final_value: Tensor


def unrolled(model: ActorCritic, batch: Batch) -> Unrolled:
    """Go through a batch of :func:`spliced` as in play.

    Each unroll begins with the state and the noise that were recorded. An observation that a
    truncated episode ended with is put in behind its step, so that its value depends on what is
    remembered of the episode; the observation after that begins another one.
    """
    steps, games = batch["action"].shape
    features = model.encode(batch["obs"].flatten(0, 1))
    state = model.core.state_of(batch)
    noise = batch.get("noise")
    is_first = torch.cat([batch["is_first"], torch.zeros_like(batch["is_first"][:1])])
    if "source" not in batch:
        features = features.reshape(steps + 1, games, -1)
        logits, value, _ = model(features, state, is_first, noise)
        return Unrolled(logits[:-1], value, torch.zeros_like(batch["reward"]))
    source, place = batch["source"], batch["place"]
    features = torch.cat([features, model.encode(batch["cut_obs"])])
    begins = torch.zeros_like(source, dtype=torch.bool).scatter(0, place, is_first)
    features = features[source.flatten()].reshape(*source.shape, -1)
    logits, value, _ = model(features, state, begins, noise)
    following = value.gather(0, place[:-1] + 1)
    return Unrolled(
        logits.gather(0, place[:-1, :, None].expand(-1, -1, logits.shape[2])),
        value.gather(0, place),
        torch.where(batch["truncated"], following, 0.0),
    )


def spliced(batch: Mapping[str, Any], *, rounded: bool) -> dict[str, Any]:
    """A batch of :class:`~mario_agents.replay.unroll_queue.UnrollQueue`, with where everything is
    once the last observations of truncated episodes are put in; without ``cut``, and as it is where
    no episode was truncated.

    Args:
        batch: ``truncated`` ``(T, B)`` bool, and ``cut`` ``(K,)``, places ``t * B + b`` of the
            steps that were, and ``cut_obs`` ``(K, ...)``.
        rounded: whether there may be more of them, and more places, than there need be, so that
            few batches differ in their shapes.

    Returns:
        With ``source`` ``(L, B)``, by place which of the ``(T + 1) * B + K`` features is there
        (behind the end of a game its last one again); and ``place`` ``(T + 1, B)``, places in time
        of the observations, behind each of which its episode's last one is if it was truncated.
    """
    found = {name: array for name, array in batch.items() if name not in ("cut", "cut_obs")}
    cut, cut_obs, truncated = batch["cut"], batch["cut_obs"], batch["truncated"]
    if not len(cut):
        return found
    steps, games = truncated.shape
    before = np.concatenate([np.zeros_like(truncated[:1]), truncated]).cumsum(axis=0)
    here = np.arange(steps + 1)[:, None]
    place, number = here + before, here * games + np.arange(games)
    t, b = np.divmod(cut, games)
    most = before[-1].max()
    if rounded:
        most = _up(most, MORE_PLACES)
        spare = np.zeros((_up(len(cut), MORE_CUTS) - len(cut), *cut_obs.shape[1:]), cut_obs.dtype)
        cut_obs = np.concatenate([cut_obs, spare])
    source = np.repeat(number[-1:], steps + 1 + most, axis=0)
    np.put_along_axis(source, place, number, axis=0)
    source[place[t, b] + 1, b] = (steps + 1) * games + np.arange(len(cut))
    return {**found, "cut_obs": cut_obs, "source": source, "place": place}


def _up(count: int, step: int) -> int:
    return -(-count // step) * step
