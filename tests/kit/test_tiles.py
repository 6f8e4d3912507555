"""Tiles against the level as people know it, and against what the game itself draws and hits."""

from __future__ import annotations

from functools import cache

import gymnasium
import numpy as np
import pytest

import mario_envkit  # noqa: F401 - registers the environments
from mario_envkit.curriculum.search import solve
from mario_envkit.emulator import native
from mario_envkit.errors import OptionError
from mario_envkit.game import ram as m
from mario_envkit.game import tiles
from mario_envkit.game.tile_picture import COLOURS
from mario_envkit.game.tiles import Tile, read_tiles, split

LETTERS = " #B?PhoV|=s+M*()~^X@"


def text(picture):
    return ["".join(LETTERS[code] for code in row).rstrip() for row in picture[:13]]


@cache
def play(level):
    """The RAM after every frame of a game that reaches the flag, ``(frames, 2048)`` uint8."""
    run, _ = solve(level, seed=0)
    env = run.make_env()
    frames = [np.array(env.emulator.ram) for _ in run.play(env)]
    env.close()
    return np.stack(frames)


def test_the_beginning_of_1_1():
    env = gymnasium.make("MarioTiles-v0", level="1-1", frame_stack=1)
    picture, _ = env.reset()
    assert text(picture) == [
        "", "", "", "", "", "", "", "", "", "", "    M",
        " ###############", " ###############",
    ]  # fmt: skip
    for _ in range(22):
        picture, *_ = env.step(1)  # right
    assert text(picture)[3:] == [
        "               ?", "", "", "", "         ?   B?B", "", "", "    M          )",
        "################", "################",
    ]  # fmt: skip
    facts = dict(zip(tiles.FACTS, split(picture)[1].tolist(), strict=True))
    assert 24 <= facts["x_speed"] - 128 <= 28  # walking: 1.5 pixels a frame
    assert facts["air"] == facts["power"] == facts["swimming"] == 0
    assert facts["facing"] == 255
    assert facts["area"] == 80


def test_spaces_stacks_and_backends():
    env = gymnasium.make("MarioTiles-v0")
    assert env.observation_space.shape == (2, 16, 16)
    assert env.observation_space.dtype == np.uint8
    reference = gymnasium.make("MarioTiles-v0", backend="nes-py", timing="nes-py")
    native = gymnasium.make("MarioTiles-v0", backend="native", timing="nes-py")
    for ours, theirs in zip(
        [native.reset(seed=1)[0], *(native.step(3)[0] for _ in range(20))],
        [reference.reset(seed=1)[0], *(reference.step(3)[0] for _ in range(20))],
        strict=True,
    ):
        assert np.array_equal(ours, theirs)


def test_max_pool_is_refused():
    with pytest.raises(OptionError, match="tiles are codes"):
        gymnasium.make("MarioTiles-v0", max_pool=True)
    with pytest.raises(OptionError, match="tiles are codes"):
        gymnasium.make_vec("MarioTiles-v0", 2, max_pool=True)


def place(picture, ram, x, y):
    """The cell of a pixel of the screen; None outside."""
    left = int(ram[0x071A]) << 8 | int(ram[0x071C])
    mario = (int(ram[m.X_PAGE]) << 8 | int(ram[m.X_ON_PAGE])) + 8
    column = (x + left >> 4) - (mario >> 4) + tiles.MARIO_COLUMN
    row = y - 32 >> 4
    inside = 0 <= row < 13 and 0 <= column < 16
    return Tile(picture[row, column]) if inside else None


HIDING = {Tile.SOLID, Tile.BRICK, Tile.QUESTION, Tile.PIPE, None}


needs_native = pytest.mark.skipif(not native.is_available(), reason="searches natively")


@needs_native
@pytest.mark.parametrize("level", ["1-4", pytest.param("5-4", marks=pytest.mark.slow), "6-4"])
def test_fire_bars_are_where_the_game_draws_them(level):
    balls = 0
    for ram in play(level):
        picture = read_tiles(ram)
        for y, tile, _, x in ram[0x0200:0x0300].reshape(64, 4).tolist():  # the sprites of a frame
            if tile in (0x64, 0x65) and y < 0xF0:
                balls += 1
                near = {place(picture, ram, x + 4 + i, y + 4 + j) for i in (-1, 1) for j in (-1, 1)}
                assert near & (HIDING | {Tile.HAZARD})
    assert balls > 100


@needs_native
@pytest.mark.parametrize(
    ("level", "code", "kinds"),
    [
        ("1-3", Tile.PLATFORM, range(0x24, 0x2D)),
        ("1-2", Tile.PLATFORM, range(0x24, 0x2D)),
        ("4-3", Tile.PLATFORM, range(0x24, 0x2D)),
        ("7-4", Tile.PLATFORM, range(0x24, 0x2D)),
        ("1-1", Tile.ENEMY, (0x00, 0x06)),
        ("2-2", Tile.SPIKY, (0x07, 0x0A, 0x0B)),
        ("3-1", Tile.FLYER, (0x05,)),
        ("8-3", Tile.FLYER, (0x05,)),
    ],
)
@pytest.mark.slow
def test_objects_cover_the_middle_of_what_the_game_hits(level, code, kinds):
    met = 0
    for ram in play(level):
        picture = read_tiles(ram)
        objects = split(picture)[2]
        for slot in range(6):
            entry = objects[slot]
            left, top, right, bottom = ram[0x04B0 + 4 * slot : 0x04B4 + 4 * slot].tolist()
            whole = 0 < left < right < 255 and top < bottom
            if not (ram[0x000F + slot] and ram[0x0016 + slot] in kinds and whole):
                continue
            if entry[0] != code or 0 in entry or 255 in entry:  # defeated, or far away
                continue
            met += 1
            middle = (left + right) // 2, (top + bottom) // 2
            near = {
                place(picture, ram, middle[0] + by_x, middle[1] + by_y)
                for by_x in (-4, 0, 4) for by_y in (-4, 0, 4)
            }  # fmt: skip
            assert near & (HIDING | {code, *range(code, len(Tile))}), (slot, middle)
            screen = int(ram[0x071A]) << 8 | int(ram[0x071C])
            mario = (int(ram[m.X_PAGE]) << 8 | int(ram[m.X_ON_PAGE])) + 8
            assert abs(screen + middle[0] - mario + 128 - int(entry[1])) <= 3
    assert met > 20


def memory(**at):
    """RAM in which Mario stands at (100, 176) and one object in slot 0 is two blocks before him."""
    ram = np.zeros(0x800, np.uint8)
    ram[[m.X_ON_PAGE, 0x00CE, m.Y_VIEWPORT, 0x0754]] = 100, 176, 1, 1
    ram[[0x000F, 0x0087, 0x00B6, 0x00CF]] = 1, 132, 1, 184
    for name, value in at.items():
        ram[{"kind": 0x16, "state": 0x1E, "flag": 0x0F, "x": 0x87, "block": 0x05AA}[name]] = value
    ram[0x0726] = 15
    return ram


@pytest.mark.parametrize(
    ("object_", "code"),
    [
        ({"kind": 0x06}, Tile.ENEMY),
        ({"kind": 0x06, "state": 0x22}, Tile.EMPTY),  # defeated
        ({"kind": 0x06, "state": 0x02}, Tile.EMPTY),  # flat
        ({"kind": 0x00, "state": 0x04}, Tile.SHELL),
        ({"kind": 0x00, "state": 0x84}, Tile.ENEMY),  # a sliding shell
        ({"kind": 0x0E}, Tile.FLYER),
        ({"kind": 0x0D}, Tile.SPIKY),
        ({"kind": 0x0C}, Tile.HAZARD),
        ({"kind": 0x2D}, Tile.BOWSER),
        ({"kind": 0x2E}, Tile.POWER_UP),
        ({"kind": 0x32}, Tile.SPRING),
        ({"kind": 0x30}, Tile.EMPTY),  # the flag, which touches nobody
        ({"kind": 0x06, "flag": 0x80}, Tile.EMPTY),
        ({"kind": 0x06, "flag": 0}, Tile.EMPTY),
    ],
)
def test_objects_of_every_kind(object_, code):
    grid, _, objects = split(read_tiles(memory(**object_)))
    assert grid[10, tiles.MARIO_COLUMN + 2] == code
    assert grid[10, tiles.MARIO_COLUMN] == Tile.MARIO
    if code not in (Tile.EMPTY, Tile.BOWSER):
        assert objects[0].tolist() == [code, 128 + 32, 128]
    if code == Tile.EMPTY:
        assert objects[0].tolist() == [0, 255, 128]
    assert (objects[1:] == [0, 255, 128]).all()


@pytest.mark.parametrize(
    ("metatile", "code"),
    [(0x54, Tile.SOLID), (0x51, Tile.BRICK), (0xC0, Tile.QUESTION), (0x11, Tile.PIPE),
     (0x5F, Tile.HIDDEN), (0xC2, Tile.COIN), (0x26, Tile.VINE), (0x25, Tile.GOAL),
     (0xC5, Tile.GOAL), (0xC4, Tile.SOLID)],
)  # fmt: skip
def test_blocks_hide_what_is_in_them_if_they_are_solid(metatile, code):
    ram = memory(kind=0x06, block=metatile)
    assert read_tiles(ram)[10, 8] == code  # column 10 of the page, four beyond Mario
    ram[0x0087] = 160
    solid = code in (Tile.SOLID, Tile.BRICK, Tile.QUESTION, Tile.PIPE)
    assert read_tiles(ram)[10, 8] == (code if solid else Tile.ENEMY)


def test_tiles_are_drawn_level_with_the_game(tmp_path, monkeypatch):
    pytest.importorskip("pygame")
    from mario_envkit.play import play as play_by_hand

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    shown = []
    monkeypatch.setattr("mario_envkit.window.Window.joypad", lambda window: 0)
    monkeypatch.setattr(
        "mario_envkit.window.Window.show", lambda window, rgb: shown.append(rgb) or len(shown) < 3
    )
    play_by_hand("1-1", tiles=True)
    assert [picture.shape for picture in shown] == [(240, 512, 3)] * 3
    env = gymnasium.make("Mario-v0", level="1-1")
    screen, _ = env.reset()
    assert np.array_equal(shown[0][:, :256], screen)
    mario, ground = shown[0][32 + 10 * 16 + 8, 256 + 4 * 16 + 8], shown[0][238, 256 + 4 * 16 + 8]
    assert mario.tolist() == COLOURS[Tile.MARIO].tolist()
    assert ground.tolist() == COLOURS[Tile.SOLID].tolist()


def test_properties_and_colours_speak_of_every_code():
    assert len({tuple(colour) for colour in COLOURS.tolist()}) == len(Tile)
    assert tiles.PROPERTIES.shape == (len(Tile), 2)
    assert len({tuple(pair) for pair in tiles.PROPERTIES.tolist()}) >= len(Tile) - 1
