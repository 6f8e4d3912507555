"""What the world model learns from: what it saw, what it was paid, and whether it went on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mario_agents.algos.dreamer.batch import Sequences
from mario_agents.algos.dreamer.networks import DreamerModel, WorldModel
from mario_agents.nn.rssm import Latent
from mario_agents.ops.categorical import balanced_kl
from mario_agents.ops.redundancy import redundancy_loss
from mario_agents.ops.ssim import structural_similarity
from mario_agents.ops.two_hot import two_hot_loss, two_hot_mean

SIMILAR = 16
"""Pictures of a batch whose similarity is measured."""


class WorldLoss(NamedTuple):
    """The loss of a batch, and what was found on the way.

    Attributes:
        loss: scalar.
        latent: states ``(T, B, ...)`` along the sequences, with gradients.
        features: of them, ``(T, B, F)``, with gradients.
        measured: detached scalars.
    """

    loss: Tensor
    latent: Latent
    features: Tensor
    measured: dict[str, Tensor]


def world_loss(
    model: DreamerModel,
    replayed: Sequences,
    noise: Tensor,
    *,
    gamma: float | Tensor,
    free_nats: float,
    dynamics: float,
    representation: float,
    redundancy: float,
    off_diagonal: float,
) -> WorldLoss:
    """Reconstruction, reward, continuation and divergences, each a mean over all observations; in
    a world without a decoder redundancy reduction takes the place of reconstruction.

    Args:
        model: its world model.
        replayed: the sequences.
        noise: ``(T, B, S)`` uniform, for the samples of the states.
        gamma: discount, which is a part of going on.
        free_nats: divergences below this cost nothing more.
        dynamics, representation: weights of the divergence, as a loss of the prior and as one of
            the posterior.
        redundancy, off_diagonal: weights of the redundancy-reduction loss and in it, see
            :func:`~mario_agents.ops.redundancy.redundancy_loss`.
    """
    world = model.world
    shape = replayed.reward.shape
    with torch.no_grad():
        seen = world.senses.inputs(replayed.obs.flatten(0, 1))
    tokens = world.senses.encoder(seen).unflatten(0, shape)
    observed = world.rssm.observe(
        replayed.before, replayed.action, replayed.is_first, tokens, noise
    )
    features = observed.latent.features()
    kl = balanced_kl(observed.posterior, world.rssm.prior(observed.latent.deter), free_nats)
    sight, found = _sight(world, seen, tokens, features, off_diagonal)
    rewards = world.reward(features).float()
    reward = two_hot_loss(functional.log_softmax(rewards, -1), replayed.reward, model.bins)
    going_on = world.going_on(features).squeeze(-1).float()
    alive = gamma * (~replayed.is_terminal).float()
    going = functional.binary_cross_entropy_with_logits(going_on, alive, reduction="none")
    losses = {
        **sight,
        "reward_loss": reward.mean(),
        "continue_loss": going.mean(),
        "kl_dynamics": kl.dynamics.mean(),
        "kl_representation": kl.representation.mean(),
    }
    weights = {
        "redundancy_loss": redundancy,
        "kl_dynamics": dynamics,
        "kl_representation": representation,
    }
    loss = torch.stack([weights.get(name, 1.0) * each for name, each in losses.items()]).sum()
    with torch.no_grad():
        measured = {name: each.detach() for name, each in losses.items()} | {
            **found,
            "wm_loss": loss.detach(),
            "reward_error": (two_hot_mean(rewards, model.bins) - replayed.reward).abs().mean(),
            "continue_error": (going_on.sigmoid() - alive).abs().mean() / gamma,
        }
    return WorldLoss(loss, observed.latent, features, measured)


def _sight(
    world: WorldModel, seen: Tensor, tokens: Tensor, features: Tensor, off_diagonal: float
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The loss by which states know what was seen, by its name, and what was measured on the way.

    Args:
        world: the world model.
        seen: ``(T * B, ...)``, the encoder's inputs.
        tokens: ``(T, B, tokens)``, what it made of them.
        features: ``(T, B, F)``, of the states.
        off_diagonal: see :func:`world_loss`.
    """
    if world.projection is None:
        return _reconstruction(world, seen, features)
    said = world.projection(features.flatten(0, 1))
    found = redundancy_loss(said, tokens.flatten(0, 1), off_diagonal)
    return {"redundancy_loss": found.loss}, {"wm_correlation": found.correlation}


def _reconstruction(
    world: WorldModel, seen: Tensor, features: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    assert world.senses.decoder is not None
    shown = world.senses.decoder(features.flatten(0, 1)).float()
    errors = (shown - seen).square().flatten(1)
    with torch.no_grad():
        measured = {"wm_recon_mse": errors.mean()}
        pictures, again = (world.senses.pictures(each[:SIMILAR]) for each in (seen, shown))
        if pictures is not None and again is not None:
            measured["wm_ssim"] = structural_similarity(pictures, again)
    return {"recon_loss": errors.sum(dim=1).mean()}, measured
