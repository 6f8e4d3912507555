"""What a world model sees, and how large it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from mario_agents.acting.environments import make_env
from mario_agents.algos.dreamer import networks
from mario_agents.algos.dreamer.sizes import SIZES
from mario_agents.core.algorithm import Spaces
from mario_agents.core.gradients import trainable
from mario_agents.nn.flat import TileInputs
from mario_agents.nn.senses import HALVES, PATCHES, PixelDecoder, PixelEncoder
from mario_envkit.errors import ConfigError
from tests.agents.dreamer.toys import CONFIG


def test_sizes_have_about_the_parameters_that_they_are_called_by() -> None:
    for name, millions in {"1m": 1.0, "12m": 12.0}.items():
        config = dataclasses.replace(CONFIG, observation="tiles", size=name)
        model = networks.build_model(config, Spaces((16, 16), 7))
        count = sum(parameter.numel() for parameter in trainable(model)) / 1e6
        assert 0.5 * millions < count < 1.5 * millions, (name, count)


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
@pytest.mark.parametrize("stack", [1, 2])
def test_what_is_seen_can_be_reconstructed(observation: str, stack: int) -> None:
    """From a few pictures a decoder learns these; pictures of odd size come back as large."""
    screen = (16, 16) if observation == "tiles" else (25, 34)
    shape = screen if stack == 1 else (stack, *screen)
    config = dataclasses.replace(CONFIG, observation=observation, frame_stack=stack)
    torch.manual_seed(0)
    senses = networks.build_senses(config, shape, SIZES["tiles"])
    obs = torch.randint(0, 20, (3, *shape), dtype=torch.uint8)
    if observation == "pixels":
        obs = obs * 12
    seen = senses.inputs(obs)
    features = torch.eye(128)[:3]
    optimizer = torch.optim.Adam(senses.parameters(), 3e-3)
    errors = []
    for _ in range(150):
        error = (senses.decoder(features) - seen).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.2 * errors[0]
    assert senses.encoder(seen).shape == (3, senses.tokens)
    pictures = senses.pictures(seen)
    assert pictures is not None
    assert pictures.shape[2:] == ((13, 16) if observation == "tiles" else screen)
    assert 0.0 <= pictures.min() <= pictures.max() <= 1.0


@pytest.mark.parametrize("strides", [HALVES, PATCHES])
@pytest.mark.parametrize("size", [(16, 16), (25, 34), (52, 64), (19, 17)])
def test_every_pixel_is_seen_and_drawn(size: tuple[int, int], strides: tuple[int, ...]) -> None:
    """No pixel of a picture of any size is without influence, in or out."""
    torch.manual_seed(0)
    shape = (2, *size)
    encoder = PixelEncoder(shape, 4, strides)
    decoder = PixelDecoder(6, shape, 4, encoder.sizes, strides)
    picture = torch.rand(1, *shape, requires_grad=True)
    tokens = encoder(picture)
    assert tokens.shape == (1, encoder.tokens)
    tokens.square().sum().backward()
    assert (picture.grad != 0).all()
    first, second = decoder(torch.randn(2, 6))
    assert first.shape == shape
    assert (first != second).all()


def test_the_smallest_pictures_are_refused() -> None:
    config = dataclasses.replace(CONFIG, observation="pixels")
    with pytest.raises(ConfigError, match="at least 16x16"):
        networks.build_senses(config, (15, 64), SIZES["tiles"])


def test_tiles_come_back_from_what_networks_see_of_them() -> None:
    env = make_env({"observation": "tiles", "level": "1-1", "frame_stack": 1})
    obs, _ = env.reset(seed=0)
    seen = [obs]
    for _ in range(60):
        obs, *_ = env.step(env.action_space.n - 1 if len(seen) % 3 else 1)
        seen.append(obs)
    env.close()
    pictures = torch.from_numpy(np.stack(seen))
    inputs = TileInputs(tuple(pictures.shape[1:]))
    assert torch.equal(inputs.undo(inputs(pictures)), pictures)
