"""Networks by name, for every algorithm's option ``network``."""

from __future__ import annotations

from typing import Literal, Protocol

from mario_agents.nn.device import resolve_device
from mario_agents.nn.encoders import Encoder, NatureEncoder, SmallEncoder
from mario_agents.nn.flat import BytesEncoder, TileEncoder
from mario_agents.nn.impala import ImpalaEncoder
from mario_agents.nn.pixels import PixelConv
from mario_envkit.errors import ConfigError

NetworkName = Literal["small", "nature", "impala", "impala-large", "mlp"]
"""small: two convolutions, for CPUs. nature: the DQN of 2015. impala: residual, 15 convolutions;
impala-large: with twice the channels. mlp: no convolutions, for tiles."""

NetworkChoice = Literal["auto", "small", "nature", "impala", "impala-large", "mlp"]
"""A :data:`NetworkName`, or auto: by kind of observation and device, see :func:`choose_network`."""

Observation = Literal["pixels", "tiles"]


class EncoderOptions(Protocol):
    """What a configuration says of an encoder, see :func:`build_encoder`."""

    @property
    def network(self) -> NetworkChoice:
        """Which."""

    @property
    def hidden(self) -> int:
        """Width of a layer that is no convolution."""

    @property
    def observation(self) -> Observation:
        """What the environment shows."""

    @property
    def show_buttons(self) -> bool:
        """Whether tiles show the joypad."""

    @property
    def levels_shown(self) -> int:
        """How many levels tiles tell apart."""

    @property
    def fourier_features(self) -> bool:
        """Whether networks see the newest tile picture pixel by pixel as well."""

    @property
    def device(self) -> str:
        """Which trains."""


def choose_network(choice: NetworkChoice, observation: Observation, device: str) -> NetworkName:
    """The network that ``choice`` means.

    What each costs on a device, in either precision and layout, is measured by ``python -m
    tests.benchmarks networks`` in the repository: what auto means is to be held against that.

    Args:
        choice: a name stays what it is.
        observation: what the environment shows.
        device: type of the device that trains, "cpu" or "cuda".

    Raises:
        ConfigError: for convolutions over tiles.
    """
    if observation == "tiles":
        if choice not in ("auto", "mlp"):
            raise ConfigError(f"network {choice!r} sees pixels only; tiles need network mlp.")
        return "mlp"
    if choice == "auto":
        return "small" if device == "cpu" else "impala"
    return choice


def check_screen(
    choice: NetworkChoice, observation: Observation, screen_size: int | tuple[int, ...]
) -> None:
    """Say early that a screen is too small, or that tiles are none.

    Raises:
        ConfigError: as :func:`build_encoder` would.
    """
    choose_network(choice, observation, "cpu")
    smallest = NatureEncoder.MIN_SIZE if choice == "nature" else ImpalaEncoder.MIN_SIZE
    side = screen_size if isinstance(screen_size, int) else min(screen_size)
    if observation == "pixels" and side < smallest:
        raise ConfigError(
            f"network {choice!r} needs screen_size >= {smallest}, not {screen_size}: the kernels "
            "of its convolutions do not fit in smaller pictures."
        )


def build_encoder(
    choice: NetworkChoice,
    obs_shape: tuple[int, ...],
    hidden: int,
    *,
    observation: Observation = "pixels",
    device: str = "cpu",
    channels_last: bool | None = None,
    motion: bool = True,
    buttons: bool = False,
    levels: int = 0,
    fourier: bool = False,
) -> Encoder:
    """A network from observations to features, with fresh random weights.

    Args:
        choice: which.
        obs_shape: of one observation, such as ``(4, 84, 84)``.
        hidden: width of a layer that is no convolution.
        observation: what the environment shows.
        device: that trains, as the option of this name; decides what auto means.
        channels_last: layout of pictures, see :class:`~mario_agents.nn.pixels.PixelConv`; None is
            what is faster for this network on a CPU.
        motion, buttons, levels, fourier: see :class:`~mario_agents.nn.flat.TileInputs`.

    Raises:
        ConfigError: if the network cannot see such observations, or there is no such device.
    """
    name = choose_network(choice, observation, resolve_device(device).type)
    if name == "mlp" and observation == "tiles":
        return TileEncoder(
            obs_shape, hidden, motion=motion, buttons=buttons, levels=levels, fourier=fourier
        )
    encoder = _encoder(name, obs_shape, hidden)
    if channels_last is None:
        channels_last = isinstance(encoder, ImpalaEncoder)
    for module in encoder.modules():
        if isinstance(module, PixelConv):
            module.channels_last = channels_last
    return encoder


def configured_encoder(
    options: EncoderOptions,
    obs_shape: tuple[int, ...],
    *,
    channels_last: bool | None = None,
    motion: bool = True,
) -> Encoder:
    """:func:`build_encoder` by the options of a configuration."""
    return build_encoder(
        options.network,
        obs_shape,
        options.hidden,
        observation=options.observation,
        device=options.device,
        channels_last=channels_last,
        motion=motion,
        buttons=options.show_buttons,
        levels=options.levels_shown,
        fourier=options.fourier_features,
    )


def _encoder(name: NetworkName, obs_shape: tuple[int, ...], hidden: int) -> Encoder:
    if name == "mlp":
        return BytesEncoder(obs_shape, hidden)
    if name == "small":
        return SmallEncoder(obs_shape)
    if name == "nature":
        return NatureEncoder(obs_shape)
    return ImpalaEncoder(obs_shape, width=2 if name == "impala-large" else 1)
