"""From a batch of unrolls to logits and values, the last observations of episodes included."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mario_agents.core.types import Batch
from mario_agents.nn.actor_critic import ActorCritic


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
    """Go through a batch of :class:`~mario_agents.replay.unroll_queue.UnrollQueue` as in play.

    Each unroll begins with the state and the noise that were recorded. An observation that a
    truncated episode ended with is put in behind its step, so that its value depends on what is
    remembered of the episode; the observation after that begins another one.
    """
    obs, cut = batch["obs"], batch["cut"]
    steps, games = batch["action"].shape
    features = model.encode(obs.flatten(0, 1))
    state = model.core.state_of(batch)
    noise = batch.get("noise")
    is_first = torch.cat([batch["is_first"], torch.zeros_like(batch["is_first"][:1])])
    final_value = torch.zeros_like(batch["reward"])
    if not len(cut):
        features = features.reshape(steps + 1, games, -1)
        logits, value, _ = model(features, state, is_first, noise)
        return Unrolled(logits[:-1], value, final_value)
    features = torch.cat([features, model.encode(batch["cut_obs"])])
    source, place, cut_place = spliced(batch["truncated"], cut)
    begins = torch.zeros_like(source, dtype=torch.bool).scatter(0, place, is_first)
    features = features[source.flatten()].reshape(*source.shape, -1)
    logits, value, _ = model(features, state, begins, noise)
    final_value = final_value.flatten().index_put((cut,), value[cut_place, cut % games])
    return Unrolled(
        logits.gather(0, place[:-1, :, None].expand(-1, -1, logits.shape[2])),
        value.gather(0, place),
        final_value.reshape(steps, games),
    )


def spliced(truncated: Tensor, cut: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where everything is once the last observations of truncated episodes are put in.

    Args:
        truncated: ``(T, B)`` bool.
        cut: ``(K,)``, places ``t * B + b`` of the steps that were.

    Returns:
        ``(L, B)``, by place which of the ``(T + 1) * B + K`` features is there (behind the end of a
        game its last one again); ``(T + 1, B)``, places in time of the observations; and ``(K,)``,
        those of the last observations of episodes.
    """
    steps, games = truncated.shape
    before = torch.cat([torch.zeros_like(truncated[:1]), truncated]).cumsum(0)
    here = torch.arange(steps + 1, device=cut.device)[:, None]
    place = here + before
    t, b = cut // games, cut % games
    cut_place = place[t, b] + 1
    number = here * games + torch.arange(games, device=cut.device)
    source = number[-1].repeat(int(place[-1].max()) + 1, 1).scatter(0, place, number)
    source[cut_place, b] = (steps + 1) * games + torch.arange(len(cut), device=cut.device)
    return source, place, cut_place
