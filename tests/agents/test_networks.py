"""Encoders by name: shapes, limits, memory layout, and that every part of them learns."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch.nn import functional

from mario_agents.nn.encoders import NatureEncoder, SmallEncoder
from mario_agents.nn.flat import TileEncoder, TileInputs
from mario_agents.nn.impala import ImpalaEncoder
from mario_agents.nn.pixels import PixelConv
from mario_agents.nn.registry import (
    NetworkChoice,
    NetworkName,
    build_encoder,
    check_screen,
    choose_network,
)
from mario_envkit.errors import ConfigError
from mario_envkit.game import tiles

NAMES = get_args(NetworkName)


def pictures(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, shape, generator=generator).to(torch.uint8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("height", "width"), [(36, 36), (52, 64), (37, 91)])
def test_every_encoder_takes_any_size_and_learns_everywhere(name, height, width):
    encoder = build_encoder(name, (2, height, width), 32)
    out = encoder(pictures(3, 2, height, width))
    assert out.shape == (3, encoder.features)
    assert out.dtype == torch.float32
    out.pow(2).sum().backward()
    for parameter_name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", NAMES)
def test_channels_last_is_only_another_layout(name):
    torch.manual_seed(0)
    encoder = build_encoder(name, (2, 40, 48), 32, channels_last=False)
    other = build_encoder(name, (2, 40, 48), 32, channels_last=True)
    other.load_state_dict(encoder.state_dict())
    obs = pictures(3, 2, 40, 48)
    torch.testing.assert_close(encoder(obs), other(obs), atol=1e-4, rtol=1e-4)
    lasts = [m.channels_last for m in other.modules() if isinstance(m, PixelConv)]
    assert lasts == ([] if name == "mlp" else [True])
    usual = [m.channels_last for m in build_encoder(name, (2, 40, 48), 32).modules()
             if isinstance(m, PixelConv)]  # fmt: skip
    assert usual == ([] if name == "mlp" else [name.startswith("impala")])


def test_a_pixel_convolution_is_a_convolution_of_0_to_1():
    layer = PixelConv(2, 5, 4, 4)
    obs = pictures(3, 2, 16, 20)
    expected = functional.conv2d(obs.float() / 255, layer.weight, layer.bias, stride=4)
    torch.testing.assert_close(layer(obs), expected, atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(obs)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), expected, atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    ("encoder", "features", "weights"),
    [
        # Mnih et al. 2015: 7 x 7 pictures of 64 channels.
        (NatureEncoder, 64 * 7 * 7, 4 * 32 * 64 + 32 * 64 * 16 + 64 * 64 * 9),
        (SmallEncoder, 32 * 10 * 10, 4 * 16 * 16 + 16 * 32 * 9),
        # Espeholt et al. 2018: 15 convolutions of 3x3, and 11 x 11 pictures of 32 channels.
        (ImpalaEncoder, 32 * 11 * 11, 9 * (4 * 16 + 4 * 256 + 16 * 32 + 9 * 1024)),
    ],
)
def test_the_networks_of_the_papers(encoder, features, weights):
    network = encoder((4, 84, 84))
    assert network.features == features
    matrices = [p for name, p in network.named_parameters() if name.endswith("weight")]
    assert sum(p.numel() for p in matrices) == weights


def test_impala_large_is_twice_as_wide():
    assert build_encoder("impala-large", (4, 84, 84), 1).features == 2 * 32 * 11 * 11


@pytest.mark.parametrize(("name", "smallest"), [("nature", 36), ("impala", 16), ("small", 12)])
def test_too_small_pictures_are_refused_in_a_sentence(name, smallest):
    build_encoder(name, (2, smallest, smallest), 8)(pictures(1, 2, smallest, smallest))
    for size in ((smallest - 1, 84), (84, smallest - 1)):
        with pytest.raises(
            ConfigError, match=f"at least {smallest}x{smallest}, but .* {size[0]}x{size[1]}"
        ):
            build_encoder(name, (2, *size), 8)


def test_convolutions_need_a_stack_of_pictures():
    with pytest.raises(ConfigError, match=r"\(stack, height, width\), not \(84, 84\)"):
        build_encoder("small", (84, 84), 8)


def test_auto_chooses_by_observation_and_device():
    assert choose_network("auto", "pixels", "cpu") == "small"
    assert choose_network("auto", "pixels", "cuda") == "impala"
    assert choose_network("auto", "tiles", "cuda") == "mlp"
    assert choose_network("nature", "pixels", "cuda") == "nature"
    assert set(get_args(NetworkChoice)) == {"auto", *NAMES}
    with pytest.raises(ConfigError, match="tiles need network mlp"):
        choose_network("nature", "tiles", "cpu")


def test_screens_are_checked_before_anything_is_built():
    check_screen("nature", "pixels", (36, 240))
    check_screen("mlp", "tiles", 84)
    with pytest.raises(ConfigError, match="screen_size >= 36, not"):
        check_screen("nature", "pixels", (52, 35))


def tile_inputs(picture: torch.Tensor) -> list[float]:
    """What the layer sees of one tile picture, number by number."""
    grid, facts, objects = tiles.split(picture.numpy())
    seen = [float(x) for code in grid.ravel() for x in tiles.PROPERTIES[code]]
    seen += [float(x) for code, _, _ in objects for x in tiles.PROPERTIES[code]]
    numbers = [*facts.tolist(), *(int(x) for _, dx, dy in objects for x in (dx, dy))]
    return seen + [number / 127.5 - 1 for number in numbers]


def test_tiles_are_seen_as_their_properties_and_numbers():
    picture = pictures(2, 3, 16, 16)
    picture[:, :, : tiles.GRID_ROWS] %= tiles.CODES
    picture[:, :, tiles.GRID_ROWS + 1 :].reshape(2, 3, 32)[..., 0:30:3] %= tiles.CODES
    encoder = TileEncoder((3, 16, 16), 7)
    inputs = torch.tensor([tile_inputs(each) for each in picture.flatten(0, 1)]).reshape(2, 3, -1)
    torch.testing.assert_close(encoder.inputs(picture), inputs.flatten(1))
    assert encoder(picture).shape == (2, 7)
    assert "table" not in encoder.state_dict()


def test_a_network_without_motion_sees_the_rest_of_tiles():
    picture = pictures(2, 1, 16, 16)
    picture[:, :, : tiles.GRID_ROWS] %= tiles.CODES
    picture[:, :, tiles.GRID_ROWS + 1 :].reshape(2, 1, 32)[..., 0:30:3] %= tiles.CODES
    whole, still = (TileInputs((16, 16), motion=motion) for motion in (True, False))
    same = whole(picture[:, 0]) == still(picture[:, 0])
    assert not still.state_dict()
    for game in same:
        first = 2 * (TileInputs.CELLS + TileInputs.OBJECTS)
        hidden = (~game).nonzero().flatten() - first
        assert {tiles.FACTS[place] for place in hidden} == set(TileInputs.MOTION)
    changed = picture.clone()
    for name in TileInputs.MOTION:
        changed[:, :, tiles.GRID_ROWS, tiles.FACTS.index(name)] ^= 255
    assert torch.equal(still(changed[:, 0]), still(picture[:, 0]))


def test_tiles_of_another_shape_are_refused():
    with pytest.raises(ConfigError, match="Tile pictures are"):
        TileEncoder((2, 13, 16), 8)


def test_buttons_are_seen_only_if_they_are_asked_for():
    pictures = torch.zeros(3, 2, 16, 16, dtype=torch.uint8)
    pictures[:, 1, 15, 14] = torch.tensor([0, 0x81, 0xFF])
    blind, seeing = TileInputs((2, 16, 16)), TileInputs((2, 16, 16), buttons=True)
    assert (seeing.width, seeing.each) == (blind.width + 16, blind.each + 8)
    plain = blind(pictures).view(3, 2, -1)
    assert torch.equal(plain[0], plain[1])
    seen = seeing(pictures).view(3, 2, -1)
    assert torch.equal(seen[..., :-8], plain)
    assert seen[1, 1, -8:].tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert seen[2, 1, -8:].tolist() == [1] * 8
    assert not seen[:, 0, -8:].any()
    assert torch.equal(seeing.undo(seeing(pictures))[..., 15, 14], pictures[..., 15, 14])
    assert torch.equal(seeing.planes(seen.flatten(1)), blind.planes(plain.flatten(1)))


def test_levels_are_seen_only_if_they_are_asked_for():
    pictures = torch.zeros(4, 2, 16, 16, dtype=torch.uint8)
    pictures[:, :, 15, 15] = torch.tensor([1, 5, 32, 141])[:, None]  # the Minus World is no level
    blind, seeing = TileInputs((2, 16, 16)), TileInputs((2, 16, 16), levels=32)
    assert (seeing.width, seeing.each) == (blind.width + 64, blind.each + 32)
    plain = blind(pictures).view(4, 2, -1)
    assert torch.equal(plain[0], plain[1])
    seen = seeing(pictures).view(4, 2, -1)
    assert torch.equal(seen[..., :-32], plain)
    for game, level in ((0, 0), (1, 4), (2, 31)):
        assert seen[game, 1, -32:].nonzero().tolist() == [[level]]
    assert not seen[3, :, -32:].any()
    assert seeing.undo(seeing(pictures))[:, 1, 15, 15].tolist() == [1, 5, 32, 0]
    both = TileInputs((16, 16), levels=32, buttons=True)
    pictures[:, 0, 15, 14] = 0x81
    assert torch.equal(both.undo(both(pictures[:3, 0])), blind.undo(blind(pictures[:3]))[:, 0] + (
        pictures[:3, 0] * (torch.arange(256) >= 254).view(16, 16)
    ))  # fmt: skip
