"""The tiles of the native core are those of mario_envkit.game.tiles, byte for byte."""

from __future__ import annotations

from itertools import product

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_envkit.emulator import native
from mario_envkit.game.levels import all_levels
from mario_envkit.game.tiles import BUTTONS, Tile, level_of, read_tiles
from tests.kit.test_tiles import play
from tests.native.vectors import compare, hold_some, make_both

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")


def natively(ram, *, show_buttons=False, show_level=False):
    from mario_envkit import _native

    out = np.full((16, 16), 77, np.uint8)
    _native.read_tiles(ram, out, show_buttons=show_buttons, show_level=show_level)
    return out


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.dictionaries(
    st.integers(0, 0x7FF), st.integers(0, 255), max_size=40))  # fmt: skip
def test_any_bytes_at_all(seed, density, pokes):
    rng = np.random.default_rng(seed)
    ram = rng.integers(0, 256, 0x800, dtype=np.uint8)
    ram[rng.random(0x800) > density] = 0
    for address, byte in pokes.items():
        ram[address] = byte
    for shown in product((False, True), repeat=2):
        options = dict(zip(("show_buttons", "show_level"), shown, strict=True))
        assert np.array_equal(natively(ram, **options), read_tiles(ram, **options))


def test_every_object_of_the_game_near_mario():
    rng = np.random.default_rng(0)
    seen = set()
    for kind in range(256):
        for _ in range(20):
            ram = rng.integers(0, 256, 0x800, dtype=np.uint8)
            ram[0x0500:0x06A0] = 0
            ram[0x006D:0x0086] = ram[0x00B5:0x00CE] = 1  # all on one page of the screen
            ram[0x000F:0x0015] = rng.integers(0, 2, 6)
            ram[0x0016:0x001C] = kind
            ram[0x049A:0x04A0] = rng.integers(3, 8, 6)
            tiles = read_tiles(ram)
            seen |= set(tiles[:13].flat)
            assert np.array_equal(natively(ram), tiles)
    blocks = {Tile.SOLID, Tile.BRICK, Tile.QUESTION, Tile.PIPE, Tile.HIDDEN, Tile.COIN, Tile.VINE}
    assert seen == set(Tile) - blocks - {Tile.GOAL}


SHOWN = {
    "1-1": {Tile.SOLID, Tile.BRICK, Tile.QUESTION, Tile.ENEMY, Tile.MARIO, Tile.HIDDEN, Tile.GOAL},
    "1-2": {Tile.PLATFORM, Tile.SPIKY, Tile.COIN},
    "1-3": {Tile.PLATFORM, Tile.COIN, Tile.FLYER},
    "1-4": {Tile.HAZARD, Tile.BOWSER, Tile.GOAL},
    "2-2": {Tile.SPIKY, Tile.PIPE},
    "3-1": {Tile.FLYER, Tile.HAZARD},
    "4-3": {Tile.PLATFORM},
    "5-4": {Tile.HAZARD, Tile.BOWSER},
    "8-3": {Tile.FLYER, Tile.HAZARD},
}


@pytest.mark.parametrize("level", SHOWN)
@pytest.mark.slow
def test_games_that_reach_the_flag(level):
    seen = set()
    for ram in play(level):
        tiles = read_tiles(ram)
        assert np.array_equal(natively(ram), tiles)
        seen |= set(tiles[:13].flat)
    assert seen >= SHOWN[level]


def test_play_of_every_level():
    levels = [str(level) for level in all_levels()]
    vector, singles = make_both(
        "MarioTiles-v0", len(levels), levels=levels, noop_max=10, frame_skip=6,
    )  # fmt: skip
    assert vector.single_observation_space.shape == (2, 16, 16)
    assert vector.single_observation_space == singles.single_observation_space
    compare(vector, singles, 50, hold_some(len(levels), 5, 3), seed=2)


def test_lost_levels_and_the_other_timing():
    levels = [str(level) for level in all_levels("lost_levels")]
    compare(
        *make_both(
            "MarioTiles-v0", len(levels), levels=levels, game="lost_levels", timing="nes-py",
        ),
        40, hold_some(len(levels), 7, 5),
    )  # fmt: skip


@pytest.mark.parametrize("timing", ["console", "nes-py"])
@pytest.mark.parametrize("stack", [1, 2])
def test_the_buttons_that_were_pressed_and_not_those_that_were_asked_for(timing, stack):
    vector, singles = make_both(
        "MarioTiles-v0", 2, level="1-1", timing=timing, frame_stack=stack, show_buttons=True,
        repeat_action_probability=0.5, noop_max=9, autoreset_mode="SameStep", max_episode_steps=30,
    )  # fmt: skip
    asked = iter(np.random.default_rng(0).integers(0, 7, (80, 2)))
    pressed, plain = [], []

    class Watched(type(vector)):
        def step(self, actions):
            out = super().step(actions)
            pressed.append(out[0].reshape(2, stack, 16, 16)[:, -1, BUTTONS[0], BUTTONS[1]])
            plain.append(actions)
            return out

    vector.__class__ = Watched
    compare(vector, singles, 80, lambda number: next(asked))
    meant = np.array([0, 1, 129, 65, 193, 128, 2], np.uint8)  # right is bit 0, A is bit 7
    same = np.mean(meant[np.array(plain)] == np.array(pressed))
    assert set(np.unique(pressed)) == set(meant)
    assert 0.4 < same < 0.8


@pytest.mark.parametrize("game", ["smb", "lost_levels"])
@pytest.mark.parametrize("stack", [1, 2])
def test_the_level_where_the_episode_is(game, stack):
    levels = all_levels(game)
    kwargs = dict(game=game, levels=list(levels), frame_stack=stack)
    vector = gymnasium.make_vec("MarioTiles-v0", len(levels), show_level=True, **kwargs)
    plain = gymnasium.make_vec("MarioTiles-v0", len(levels), **kwargs)
    obs, hidden = vector.reset(seed=0)[0], plain.reset(seed=0)[0]
    pictures = obs.reshape(-1, stack, 16, 16)[:, -1]
    assert level_of(pictures).tolist() == list(range(1, len(levels) + 1))
    obs.reshape(-1, stack, 16, 16)[:, :, 15, 15] = 0
    assert np.array_equal(obs, hidden)
