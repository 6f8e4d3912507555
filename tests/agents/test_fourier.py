"""Fourier features of tiles, against what they are defined as, byte by byte."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.acting.environments import make_env
from mario_agents.algos.dreamer import networks
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.sizes import SIZES
from mario_agents.config import make_config, read_options
from mario_agents.nn.flat import TileInputs
from mario_agents.nn.fourier import FourierFeatures
from mario_envkit.errors import ConfigError
from mario_envkit.game import tiles
from mario_envkit.plugins import load_trainer
from tests.agents.test_initial import start
from tests.agents.trained_run import weights

TRAINERS = ("ppo", "impala", "a3c", "ddqn", "apex", "dreamer")


def random_pictures(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (*shape, *tiles.SHAPE), generator=generator).to(torch.uint8)


def waves(number: float, wavelengths: tuple[int, ...]) -> list[float]:
    angles = [2 * math.pi * number / wavelength for wavelength in wavelengths]
    return [wave(angle) for angle in angles for wave in (math.sin, math.cos)]


def one_hot(value: int, count: int) -> list[float]:
    return [float(value == each) for each in range(count)]


def slowly(picture: np.ndarray[Any, Any], *, motion: bool) -> list[float]:
    """The features of one picture, as their docstring says them."""
    _, values, objects = tiles.split(picture)
    facts = dict(zip(tiles.FACTS, map(int, values), strict=True))
    found: list[float] = []
    for _, dx, dy in objects[:6].tolist():
        found += waves(dx - 128, (256, 128, 64, 32)) + waves(dy - 128, (256, 128, 64, 32))
    found += one_hot(facts["x_in_block"] // 16, 16) + one_hot(facts["y_in_block"] // 16, 16)
    if motion:
        found += waves(facts["x_speed"] - 128, (128, 64, 32)) + waves(
            facts["y_speed"] - 128, (128, 64, 32)
        )
        found += one_hot(round(facts["air"] / 80), 4)
    return found


@pytest.mark.parametrize("motion", [True, False])
def test_they_are_what_they_are_said_to_be(motion: bool) -> None:
    pictures = random_pictures(50)
    features = FourierFeatures(motion=motion)
    found = features(pictures.flatten(1))
    expected = torch.tensor([slowly(each.numpy(), motion=motion) for each in pictures])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert found.shape == (50, features.width)
    assert features.width == (144 if motion else 128)
    assert found.dtype == torch.float32
    assert not features.state_dict()


@pytest.mark.parametrize("options", [{}, {"buttons": True, "levels": 32}, {"motion": False}])
def test_they_follow_on_what_networks_see_anyhow(options: dict[str, Any]) -> None:
    pictures = random_pictures(5, 2)
    plain, fine = (TileInputs((2, 16, 16), fourier=each, **options) for each in (False, True))
    seen = fine(pictures)
    assert seen.shape == (5, fine.width)
    assert fine.each == plain.each
    assert torch.equal(seen[:, : plain.width], plain(pictures))
    features = FourierFeatures(motion=options.get("motion", True))
    assert torch.equal(seen[:, plain.width :], features(pictures[:, 1].flatten(1)))
    assert torch.equal(fine.undo(seen), plain.undo(plain(pictures)))
    assert torch.equal(fine.planes(seen), plain.planes(plain(pictures)))


def test_they_are_of_the_newest_picture_of_a_game() -> None:
    """And of a game, a pixel of Mario's changes more of them than of the plain numbers."""
    kwargs = {"observation": "tiles", "level": "1-1", "frame_skip": 1}
    with closing(make_env({**kwargs, "frame_stack": 3})) as env:
        env.reset(seed=0)
        stacked = np.stack([env.step(1)[0] for _ in range(60)])
    with closing(make_env({**kwargs, "frame_stack": 1})) as env:
        env.reset(seed=0)
        single = np.stack([env.step(1)[0] for _ in range(60)])
    inputs = TileInputs((3, 16, 16), fourier=True)
    features = FourierFeatures()
    found = inputs(torch.from_numpy(stacked))[:, -features.width :]
    assert torch.equal(found, features(torch.from_numpy(single).flatten(1)))
    x = found[:, 96:112].argmax(dim=1)
    assert len(x.unique()) == 16  # each pixel of a block, on a walk over several


@pytest.mark.parametrize("name", TRAINERS)
def test_every_trainer_with_tiles_has_the_option(name: str) -> None:
    trainer: Any = load_trainer(name)
    assert not trainer.config_class().fourier_features
    make_config(trainer.config_class, {"fourier_features": True}, source="test")
    with pytest.raises(ConfigError, match=r"fourier_features are of tiles; leave them out, or"):
        make_config(
            trainer.config_class, {"fourier_features": True, "observation": "pixels"}, source="test"
        )


def test_a_world_model_reconstructs_them_too() -> None:
    config = DreamerConfig(fourier_features=True)
    size = SIZES[config.size]
    senses = networks.build_senses(config, (16, 16), size)
    pictures = random_pictures(3)
    seen = senses.inputs(pictures)
    assert seen.shape[1] == TileInputs((16, 16)).width + 144
    assert senses.decoder is not None
    shown = senses.decoder(torch.zeros(3, size.deter + size.stoch * size.classes))
    assert shown.shape == seen.shape
    assert torch.equal(
        senses.observations(seen), TileInputs((16, 16)).undo(TileInputs((16, 16))(pictures))
    )


@pytest.mark.parametrize("name", ["ppo", "ddqn", "dreamer"])
@pytest.mark.slow
def test_runs_with_them_are_kept_and_played(name: str, tmp_path: Path) -> None:
    shorter = {"total_steps": 160 if name == "dreamer" else 256, "show_buttons": True}
    run = start(name, tmp_path / "first", fourier_features=True, **shorter)
    trainer: Any = load_trainer(name)
    stored = make_config(trainer.config_class, read_options(run / "config.json"), source="stored")
    assert stored.fourier_features
    width = TileInputs(stored.obs_shape, buttons=True, fourier=True).width
    assert width in {tensor.shape[-1] for tensor in weights(run).values() if tensor.dim() > 1}
    policy = trainer.load_policy(stored, run, device="cpu", weights="latest")
    policy.reset(4)
    actions = policy.act(random_pictures(4, *stored.obs_shape[:-2]).numpy(), greedy=True)
    assert actions.shape == (4,)
    with pytest.raises(ConfigError, match=r"fourier_features=True.* as there"):
        start(name, tmp_path / "again", init=str(run), **shorter)
