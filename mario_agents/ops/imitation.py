"""Losses of what is learned from demonstrations."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from mario_agents.ops.regression import regression_error


class CloningLoss(NamedTuple):
    """Scalars; all but ``loss`` are for the metrics and detached.

    Attributes:
        loss: cross-entropy and value loss, weighted.
        cross_entropy: of the demonstrated actions, smoothed, in nats.
        accuracy: share of the actions that are the policy's likeliest.
        value_loss: error of the values.
    """

    loss: Tensor
    cross_entropy: Tensor
    accuracy: Tensor
    value_loss: Tensor


def cloning_loss(
    logits: Tensor,
    value: Tensor,
    action: Tensor,
    target: Tensor,
    *,
    smoothing: float,
    value_coef: float,
) -> CloningLoss:
    """Cross-entropy of demonstrated actions (Pomerleau, "ALVINN", NeurIPS 1988), and the error of
    values against what the demonstrations earned, counted linearly beyond 1.

    Label smoothing keeps the other actions possible, so that who goes on to learn by itself can
    still find out about them: ``-(1 - s) * log p(a) - s * mean(log p)`` (Szegedy et al.,
    "Rethinking the Inception Architecture", CVPR 2016, section 7).

    Args:
        logits: ``(N, A)``, of the policy.
        value: ``(N,)``, discounted reward that is expected.
        action: ``(N,)`` int64, demonstrated.
        target: ``(N,)``, discounted reward that followed.
        smoothing: share of all actions alike in what is learned, 0 to 1.
        value_coef: weight of the value loss.
    """
    logits = logits.float()
    entropy = functional.cross_entropy(logits, action, label_smoothing=smoothing)
    value_loss = regression_error(value.float(), target, huber=1.0).mean()
    accuracy = (logits.argmax(dim=1) == action).float().mean()
    return CloningLoss(
        loss=entropy + value_coef * value_loss,
        cross_entropy=entropy.detach(),
        accuracy=accuracy.detach(),
        value_loss=value_loss.detach(),
    )


def margin_loss(q: Tensor, action: Tensor, *, margin: float) -> Tensor:
    """The large-margin loss of demonstrated actions: how far another action's value is above that
    of the demonstrated one less ``margin``.

    ``max_a (Q(s, a) + margin * [a != a_E]) - Q(s, a_E)``, equation 3 of Hester et al., "Deep
    Q-learning from Demonstrations" (AAAI 2018), after Piot, Geist and Pietquin, "Boosted Bellman
    Residual Minimization Handling Expert Demonstrations" (ECML PKDD 2014). Values of actions that
    no demonstration ever took are held below those of the demonstrated ones by it; otherwise
    nothing would say what they are.

    Args:
        q: ``(B, A)`` action values.
        action: ``(B,)`` int64, demonstrated.
        margin: at least 0, in the units of returns.

    Returns:
        ``(B,)``, 0 where the demonstrated action is the best one by ``margin``.
    """
    taken = q.gather(1, action[:, None])
    rivals = (q + margin).scatter(1, action[:, None], taken)
    return rivals.amax(dim=1) - taken.squeeze(1)


class SelfImitationLoss(NamedTuple):
    """Scalars; all but ``loss`` are for the metrics and detached.

    Attributes:
        loss: of policy and value, weighted.
        better: share of the steps that earned more than is expected.
        accuracy: share of the actions that are the policy's likeliest.
    """

    loss: Tensor
    better: Tensor
    accuracy: Tensor


def self_imitation_loss(
    logits: Tensor, value: Tensor, action: Tensor, target: Tensor, *, value_coef: float
) -> SelfImitationLoss:
    """Imitation of what earned more than is expected, as far as it did:
    ``mean(-log p(a) * (R - V)+) + value_coef * mean((R - V)+ ** 2) / 2``, equations 1 to 3 of Oh et
    al., "Self-Imitation Learning" (ICML 2018).

    Once the policy earns as much by itself, nothing is imitated any more: so Go-Explore learns from
    the runs of its search (Ecoffet et al., "First return, then explore", Nature 590, 2021).

    Args:
        logits: ``(N, A)``, of the policy.
        value: ``(N,)``, discounted reward that is expected.
        action: ``(N,)`` int64, demonstrated.
        target: ``(N,)``, discounted reward ``R`` that followed.
        value_coef: weight of the value loss.
    """
    logits, gain = logits.float(), (target - value.float()).clamp(min=0.0)
    surprise = functional.cross_entropy(logits, action, reduction="none")
    policy = (surprise * gain.detach()).mean()
    return SelfImitationLoss(
        loss=policy + value_coef * 0.5 * gain.pow(2).mean(),
        better=(gain.detach() > 0).float().mean(),
        accuracy=(logits.detach().argmax(dim=1) == action).float().mean(),
    )
