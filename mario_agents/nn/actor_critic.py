"""The policy and the value function, which share an encoder and what they remember."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mario_agents.config import PositiveInt, TileNetworkConfig
from mario_agents.nn.device import resolve_device
from mario_agents.nn.encoders import Encoder
from mario_agents.nn.init import orthogonal
from mario_agents.nn.noisy import NoisyLinear
from mario_agents.nn.recurrent import Core, CoreState, RecurrentType, build_core
from mario_agents.nn.registry import (
    NetworkChoice,
    check_screen,
    choose_network,
    configured_encoder,
)
from mario_envkit.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorCriticConfig(TileNetworkConfig):
    """What the network sees with, how wide it is, and what remembers."""

    HEADING = "network"
    RESUMABLE: ClassVar[frozenset[str]] = TileNetworkConfig.RESUMABLE | {"compile", "channels_last"}

    observation: Literal["pixels", "tiles"] = "tiles"
    """What the agent sees: the screen, or the tiles around Mario."""
    motion: bool = True
    """With tiles: see how fast Mario moves, whether he rises or falls, and whether A is held. With
    --no-motion (and --frame-stack 1) only memory can tell."""
    network: NetworkChoice = "auto"
    """small, nature, impala, impala-large, or mlp (for tiles); auto chooses by observation and
    device."""
    hidden: PositiveInt = 256
    """Width of the layer behind the encoder, of the layers of mlp, and of what is remembered."""
    recurrent_type: RecurrentType = "none"
    """What remembers: none, gru, lstm, or transformer."""
    transformer_layers: PositiveInt = 2
    """Layers of the transformer."""
    transformer_heads: PositiveInt = 4
    """Heads of its attention; hidden must be an even multiple of it."""
    transformer_memory: PositiveInt = 16
    """Steps before the present one that each of its layers sees."""
    compile: bool = False
    """Compile the encoder with torch.compile: a slow start, then faster on a GPU."""
    channels_last: bool | None = None
    """Keep pictures as (height, width, channels) in memory; None does so with residual networks,
    which it makes twice as fast on a CPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_screen(self.network, self.observation, self.screen_size)
        if self.observation == "pixels" and not self.motion:
            raise ConfigError(
                "--no-motion hides a part of tiles, and pixels have none; leave it out, or give "
                "--observation tiles."
            )
        if self.recurrent_type == "transformer" and self.hidden % (2 * self.transformer_heads):
            raise ConfigError(
                "hidden must be an even multiple of transformer_heads, not "
                f"{self.hidden} and {self.transformer_heads}."
            )

        if self.by_level and self.observation != "tiles":
            raise ConfigError(
                "Trainers tell levels apart by their tiles: give --observation tiles, or another "
                "--normalize-advantage than level."
            )

    @property
    def by_level(self) -> bool:
        """Whether what is learned from a step depends on the level that it is in."""
        return False

    def env_kwargs(self) -> dict[str, Any]:
        """Those of the game; tiles say which level it is, where that counts."""
        shown = {"show_level": True} if self.by_level else {}
        return {**super().env_kwargs(), **shown}

    def resolved(self) -> Self:
        """The same options with ``auto`` and None decided for this machine."""
        device = resolve_device(self.device).type
        network = choose_network(self.network, self.observation, device)
        return dataclasses.replace(super().resolved(), network=network)


class PolicyValue(NamedTuple):
    """What :class:`ActorCritic` says about ``T`` steps of ``B`` games; all float32.

    Attributes:
        logits: ``(T, B, actions)``, unnormalised log-probabilities of the actions.
        value: ``(T, B)``, the discounted reward that it expects.
        state: after the last step.
    """

    logits: Tensor
    value: Tensor
    state: CoreState


class ActorCritic(nn.Module):
    """An encoder, a layer of ``hidden`` units, a core that remembers, and two heads.

    Core and heads compute in float32, under autocast too: log-probabilities, whose differences
    ratios are made of, differ by less than bfloat16 can tell.

    Small weights in the policy's last layer make all actions nearly equally likely at first, which
    Andrychowicz et al., "What Matters in On-Policy Reinforcement Learning?" (ICLR 2021, section
    3.2), found to matter more than most other choices.

    Args:
        encoder: of observations.
        core: what remembers; its input has ``hidden`` features.
        actions: how many there are.
        hidden: units.
        noise_sigma: size of the noise in the weights of the heads at first; None is without.

    Attributes:
        noise_size: numbers of noise for one game.
    """

    def __init__(
        self,
        encoder: Encoder,
        core: Core,
        actions: int,
        *,
        hidden: int,
        noise_sigma: float | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.core = encoder, core
        self.trunk = orthogonal(nn.Linear(encoder.features, hidden))
        self.policy = orthogonal(_head(core.features, actions, noise_sigma), gain=0.01)
        self.value = orthogonal(_head(core.features, 1, noise_sigma), gain=1.0)
        self._noise_sizes = [
            head.noise_size for head in (self.policy, self.value) if isinstance(head, NoisyLinear)
        ]
        self.noise_size = sum(self._noise_sizes)

    def encode(self, obs: Tensor) -> Tensor:
        """Features ``(N, hidden)`` of observations ``(N, ...)`` uint8, of whichever games."""
        return torch.relu(self.trunk(self.encoder(obs)))

    def unroll(
        self, obs: Tensor, state: CoreState, is_first: Tensor, noise: Tensor | None = None
    ) -> PolicyValue:
        """Judge ``T`` steps of ``B`` games by their observations ``(T, B, ...)`` uint8; the rest is
        as for :meth:`forward`."""
        features = self.encode(obs.flatten(0, 1)).reshape(*is_first.shape, -1)
        policy_value: PolicyValue = self(features, state, is_first, noise)
        return policy_value

    def forward(
        self, features: Tensor, state: CoreState, is_first: Tensor, noise: Tensor | None = None
    ) -> PolicyValue:
        """Judge ``T`` steps of ``B`` games.

        Args:
            features: ``(T, B, hidden)``, of :meth:`encode`.
            state: before the first of them.
            is_first: ``(T, B)`` bool, where a game begins anew.
            noise: ``(B, noise_size)``, of :func:`~mario_agents.nn.noisy.draw_noise`; None is none.
        """
        features, state = self.core(features, state, is_first)
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            if noise is None:
                logits, value = self.policy(features), self.value(features)
            else:
                first, second = torch.split(noise, self._noise_sizes, dim=1)
                logits, value = self.policy(features, first), self.value(features, second)
        return PolicyValue(logits, value.squeeze(-1), state)


def build_actor_critic(
    config: ActorCriticConfig,
    obs_shape: tuple[int, ...],
    actions: int,
    *,
    noise_sigma: float | None = None,
) -> ActorCritic:
    """A network with fresh random weights, compiled if that is asked for.

    Args:
        config: its options.
        obs_shape: of one observation, such as ``(4, 84, 84)``.
        actions: how many there are.
        noise_sigma: of :class:`ActorCritic`.

    Raises:
        ConfigError: if the network cannot see such observations, or there is no such device.
    """
    encoder = configured_encoder(
        config, obs_shape, channels_last=config.channels_last, motion=config.motion
    )
    core = build_core(
        config.recurrent_type,
        config.hidden,
        config.hidden,
        layers=config.transformer_layers,
        heads=config.transformer_heads,
        memory=config.transformer_memory,
    )
    model = ActorCritic(encoder, core, actions, hidden=config.hidden, noise_sigma=noise_sigma)
    if config.compile:
        model.encoder.compile()
    return model


def _head(inputs: int, outputs: int, noise_sigma: float | None) -> nn.Linear:
    if noise_sigma is None:
        return nn.Linear(inputs, outputs)
    return NoisyLinear(inputs, outputs, sigma=noise_sigma)
