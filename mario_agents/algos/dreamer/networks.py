"""The world model, and the actor and the critic that live in it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.sizes import SIZES, Size
from mario_agents.core.algorithm import Spaces
from mario_agents.nn.dense import MLP, truncated_normal
from mario_agents.nn.flat import TileInputs
from mario_agents.nn.rssm import RSSM
from mario_agents.nn.senses import (
    ByteInputs,
    PixelDecoder,
    PixelEncoder,
    PixelInputs,
    Senses,
)
from mario_agents.ops.averages import polyak_update
from mario_agents.ops.two_hot import symexp_bins

BINS = 255


class WorldModel(nn.Module):
    """What a game is, what an action makes of it, and what that is worth at once.

    Attributes:
        senses: encoder and decoder.
        rssm: the state and how it changes.
        projection: of features of a state to what the encoder says, if there is no decoder.
        reward: logits over the bins of the reward that came with a state.
        going_on: logit that more comes after a state, discount included.
    """

    def __init__(self, senses: Senses, rssm: RSSM, size: Size) -> None:
        super().__init__()
        self.senses, self.rssm = senses, rssm
        self.projection: nn.Linear | None = None
        if senses.decoder is None:
            self.projection = _projection(rssm.features, senses.tokens)
        self.reward = MLP(rssm.features, size.units, size.head_layers, BINS, gain=0.0)
        self.going_on = MLP(rssm.features, size.units, size.head_layers, 1)


class DreamerModel(nn.Module):
    """Everything that is learned, and what follows it.

    Attributes:
        world: the world model.
        actor: logits of actions, by features of a state.
        critic: logits over the bins of the return.
        slow_critic: follows the critic, and keeps it from running away.
        return_range: ``(2,)``, the 5 % and the 95 % percentile of imagined returns.
        bins: ``(BINS,)``, the numbers that rewards and returns are distributions over.
    """

    return_range: Tensor
    bins: Tensor

    def __init__(self, world: WorldModel, spaces: Spaces, size: Size) -> None:
        super().__init__()
        features, units, layers = world.rssm.features, size.units, size.behaviour_layers
        self.world = world
        self.actor = MLP(features, units, layers, spaces.actions, gain=0.01)
        self.critic = MLP(features, units, layers, BINS, gain=0.0)
        self.slow_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.register_buffer("return_range", torch.zeros(2))
        self.register_buffer("bins", symexp_bins(BINS), persistent=False)

    def update_slow_critic(self, tau: float) -> None:
        """Move the slow critic a share ``tau`` of the way to the critic."""
        polyak_update(self.slow_critic.parameters(), self.critic.parameters(), tau)


def build_model(config: DreamerConfig, spaces: Spaces) -> DreamerModel:
    """Networks of ``config.size`` with fresh random weights, for what an environment shows."""
    size = SIZES[config.size]
    senses = build_senses(config, spaces.obs_shape, size)
    rssm = RSSM(
        spaces.actions,
        senses.tokens,
        deter=size.deter,
        hidden=size.hidden,
        stoch=size.stoch,
        classes=size.classes,
        blocks=size.blocks,
        prior_layers=size.prior_layers,
    )
    return DreamerModel(WorldModel(senses, rssm, size), spaces, size)


def build_senses(config: DreamerConfig, obs_shape: tuple[int, ...], size: Size) -> Senses:
    """Encoder of ``size`` for what an environment shows, and decoder if there is to be one."""
    features, blind = size.deter + size.stoch * size.classes, config.decoder == "none"
    if config.observation == "pixels" and len(obs_shape) > 1:
        pixels = PixelInputs(obs_shape)
        eye = PixelEncoder(pixels.shape, size.depth, size.strides)
        back = None
        if not blind:
            back = PixelDecoder(features, pixels.shape, size.depth, eye.sizes, size.strides)
        return Senses(pixels, eye, back, eye.tokens)
    inputs: TileInputs | ByteInputs = ByteInputs(obs_shape)
    if config.observation == "tiles":
        inputs = TileInputs(
            obs_shape,
            buttons=config.show_buttons,
            levels=config.levels_shown,
            fourier=config.fourier_features,
        )
    encoder = MLP(inputs.width, size.units, size.sense_layers)
    decoder = None if blind else MLP(features, size.units, size.sense_layers, inputs.width)
    return Senses(inputs, encoder, decoder, encoder.outputs)


def _projection(features: int, tokens: int) -> nn.Linear:
    # Without a bias, as only differences between rows of its output are learned from.
    layer = nn.Linear(features, tokens, bias=False)
    truncated_normal(layer.weight, features)
    return layer
