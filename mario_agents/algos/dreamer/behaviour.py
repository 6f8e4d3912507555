"""Actor and critic: they learn in imagination; from what happened the critic learns as well, and
from what was demonstrated the actor."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mario_agents.algos.dreamer.batch import Sequences
from mario_agents.algos.dreamer.networks import DreamerModel
from mario_agents.core.types import Batch
from mario_agents.nn.recurrence import recur
from mario_agents.nn.rssm import Latent
from mario_agents.ops.categorical import mixed_probs, sample_classes, sample_one_hot
from mario_agents.ops.lambda_returns import lambda_returns
from mario_agents.ops.percentiles import moved_range, range_scale
from mario_agents.ops.two_hot import two_hot_loss, two_hot_mean


class Imagined(NamedTuple):
    """``H`` steps into ``K`` imagined futures, without gradients.

    Attributes:
        features: ``(H + 1, K, F)``, of the state that was there, and of those that followed.
        action: ``(H, K)`` int64, taken in all but the last.
        reward: ``(H + 1, K)``, what came with each state.
        going_on: ``(H + 1, K)``, discount times the probability that more comes after it.
    """

    features: Tensor
    action: Tensor
    reward: Tensor
    going_on: Tensor


class ImaginationNoise(NamedTuple):
    """Uniform numbers: ``state`` ``(H, K, S)`` and ``action`` ``(H, K)``."""

    state: Tensor
    action: Tensor


def action_probs(model: DreamerModel, features: Tensor, uniform: float) -> Tensor:
    """Probabilities ``(..., A)`` of actions, a share of them chosen without looking."""
    return mixed_probs(model.actor(features), uniform)


@torch.no_grad()
def imagine(
    model: DreamerModel, start: Latent, noise: ImaginationNoise, *, uniform: float
) -> Imagined:
    """What the world model expects to happen as the actor acts in it.

    Args:
        model: world and actor.
        start: states of ``K`` games.
        noise: decides on actions and on what comes of them.
        uniform: share of random actions.
    """
    # On a CPU a tenth of the time of so many small operations goes into what inference leaves out.
    with torch.inference_mode(start.deter.device.type == "cpu"):
        features, actions = _along(model, start, noise, uniform)
    # Made here, so that they may be a part of what has gradients.
    along = torch.stack(features)
    return Imagined(
        along,
        torch.stack(actions),
        two_hot_mean(model.world.reward(along), model.bins),
        model.world.going_on(along).squeeze(-1).float().sigmoid(),
    )


def _along(
    model: DreamerModel, start: Latent, noise: ImaginationNoise, uniform: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Features of all states, and actions in all but the last."""
    rssm, latent, dtype = model.world.rssm, start, _matrix_dtype(start.deter)
    weights, effects = rssm.weights(dtype), rssm.effects().to(dtype)
    features, actions = [start.features()], []
    for by_state, by_action in zip(*noise, strict=True):
        probs = action_probs(model, features[-1], uniform)
        actions.append(sample_classes(probs, by_action))
        deter = recur(weights, *latent, effects[actions[-1]]).deter
        latent = Latent(deter, sample_one_hot(rssm.prior(deter), by_state).flatten(1))
        features.append(latent.features())
    return features, actions


def _matrix_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class BehaviourLoss(NamedTuple):
    """Losses of actor and critic, scalars.

    Attributes:
        actor: its negated objective.
        critic: its cross-entropy.
        returns: ``(K,)``, of the states that the futures began in.
        measured: detached scalars.
    """

    actor: Tensor
    critic: Tensor
    returns: Tensor
    measured: dict[str, Tensor]


def behaviour_loss(
    model: DreamerModel,
    imagined: Imagined,
    *,
    lam: float,
    entropy_coef: float | Tensor,
    uniform: float,
    slow_regularizer: float,
    range_rate: float,
) -> BehaviourLoss:
    """REINFORCE with the critic as baseline, and the critic's error against lambda-returns.

    Moves ``model.return_range``.

    Args:
        model: actor and critics.
        imagined: what they learn from.
        lam: of the returns.
        entropy_coef: reward for undecided choices.
        uniform: as in :func:`imagine`.
        slow_regularizer: weight of the slow critic's values as a target.
        range_rate: share by which the range of returns moves.
    """
    log_values = functional.log_softmax(model.critic(imagined.features).float(), dim=-1)
    with torch.no_grad():
        value = two_hot_mean(log_values, model.bins)
        slow = two_hot_mean(model.slow_critic(imagined.features[:-1]), model.bins)
        returns = lambda_returns(imagined.reward, imagined.going_on, value, lam)
        weight = imagined.going_on.cumprod(dim=0)[:-1]
        model.return_range.copy_(moved_range(model.return_range, returns, range_rate))
        advantage = (returns - value[:-1]) / range_scale(model.return_range)
    log_probs = action_probs(model, imagined.features[:-1], uniform).log()
    entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
    chosen = log_probs.gather(-1, imagined.action.unsqueeze(-1)).squeeze(-1)
    actor = -(weight * (chosen * advantage + entropy_coef * entropy)).mean()
    error = two_hot_loss(log_values[:-1], returns, model.bins)
    regularizer = two_hot_loss(log_values[:-1], slow, model.bins)
    critic = (weight * (error + slow_regularizer * regularizer)).mean()
    measured = {
        "actor_loss": actor,
        "critic_loss": critic,
        "entropy": entropy.mean(),
        "imagined_return": returns[0].mean(),
        "imagined_reward": imagined.reward[1:].mean(),
        "return_range": range_scale(model.return_range, 0.0),
    }
    found = {name: each.detach() for name, each in measured.items()}
    return BehaviourLoss(actor, critic, returns[0], found)


def demonstration_loss(
    model: DreamerModel, features: Tensor, batch: Batch, *, uniform: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Behaviour cloning of the actor: the mean cross-entropy of what was demonstrated, in the
    states that the world model has along it. Its gradient does not reach the world model.

    Args:
        model: the actor.
        features: of the states of a batch ``(T, B, F)``.
        batch: ``action`` and ``is_last`` ``(B, T + 1)``, whose first entry has no state of its own,
            and ``demonstrated`` ``(B,)``.
        uniform: as in :func:`imagine`.
    """
    action, is_last = (batch[name].transpose(0, 1)[1:] for name in ("action", "is_last"))
    counts = (batch["demonstrated"] & ~is_last).float()
    probs = action_probs(model, features.detach(), uniform)
    log_prob = probs.log().gather(-1, action.unsqueeze(-1)).squeeze(-1)
    right = (probs.detach().argmax(dim=-1) == action).float()
    count = counts.sum().clamp(min=1.0)
    loss = -(counts * log_prob).sum() / count
    return loss, {"demo_loss": loss.detach(), "demo_accuracy": (counts * right).sum() / count}


def replay_critic_loss(
    model: DreamerModel,
    replayed: Sequences,
    features: Tensor,
    start: Tensor,
    returns: Tensor,
    *,
    gamma: float | Tensor,
    lam: float,
    slow_regularizer: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The critic's error along real sequences; its gradient reaches the world model.

    Where a future was imagined its return is what is expected; elsewhere it is the critic's value.

    Args:
        model: the critics.
        replayed: the sequences.
        features: of their states ``(T, B, F)``.
        start: ``(K,)``, the states ``t * B + b`` that futures were imagined from.
        returns: ``(K,)``, the returns of these.
        gamma, lam: of the returns.
        slow_regularizer: as in :func:`behaviour_loss`.
    """
    log_values = functional.log_softmax(model.critic(features).float(), dim=-1)
    with torch.no_grad():
        value = two_hot_mean(log_values, model.bins)
        slow = two_hot_mean(model.slow_critic(features[:-1]), model.bins)
        expected = value.flatten().index_copy(0, start, returns).view(value.shape)
        discount = gamma * (~replayed.is_terminal).float()
        target = lambda_returns(replayed.reward, discount, expected, lam, last=replayed.is_last)
        weight = (~replayed.is_last[:-1]).float()
    error = two_hot_loss(log_values[:-1], target, model.bins)
    regularizer = two_hot_loss(log_values[:-1], slow, model.bins)
    loss = (weight * (error + slow_regularizer * regularizer)).mean()
    measured = {"replay_value_loss": loss.detach(), "replay_return": target.mean()}
    return loss, measured
