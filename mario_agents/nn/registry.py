"""Networks by name, for every algorithm's option ``network``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from mario_agents.nn.codes import CodeEncoder
from mario_agents.nn.encoders import Encoder, NatureEncoder, SmallEncoder
from mario_agents.nn.impala import ImpalaEncoder

NetworkName = Literal["small", "nature", "impala", "impala-large", "mlp"]
"""small: two convolutions, for CPUs. nature: the DQN of 2015. impala: residual, 15 convolutions;
impala-large: with twice the channels. mlp: no convolutions, for tiles and RAM."""

NetworkChoice = Literal["auto", "small", "nature", "impala", "impala-large", "mlp"]
"""A :data:`NetworkName`, or auto: by kind of observation and device, see :func:`choose_network`."""

Observation = Literal["pixels", "tiles", "ram"]

_ENCODERS: dict[NetworkName, Callable[[tuple[int, ...], int], Encoder]] = {
    "small": lambda obs_shape, hidden: SmallEncoder(obs_shape),
    "nature": lambda obs_shape, hidden: NatureEncoder(obs_shape),
    "impala": lambda obs_shape, hidden: ImpalaEncoder(obs_shape),
    "impala-large": lambda obs_shape, hidden: ImpalaEncoder(obs_shape, width=2),
    "mlp": CodeEncoder,
}
assert set(_ENCODERS) == set(get_args(NetworkName))


def choose_network(choice: NetworkChoice, observation: Observation, device: str) -> NetworkName:
    """The network that ``choice`` means.

    Args:
        choice: a name stays what it is.
        observation: what the environment shows.
        device: type of the device that trains, "cpu" or "cuda".
    """
    if choice != "auto":
        return choice
    if observation != "pixels":
        return "mlp"
    return "small" if device == "cpu" else "impala"


def build_encoder(name: NetworkName, obs_shape: tuple[int, ...], hidden: int) -> Encoder:
    """A network from observations to features, with fresh random weights.

    Args:
        name: which.
        obs_shape: of one observation, such as ``(4, 84, 84)``.
        hidden: width of the layers that are not convolutions.

    Raises:
        ConfigError: if the network cannot see such observations.
    """
    return _ENCODERS[name](obs_shape, hidden)
