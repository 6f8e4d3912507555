"""Pictures of whole levels, and deaths drawn on them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mario_envkit.arguments import as_file, not_possible
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.emulator.buttons import Buttons
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.files import replace_file
from mario_envkit.game import ram as m
from mario_envkit.game.levels import parse_level
from mario_envkit.game.rules import GameStuck

Picture = NDArray[np.uint8]

STATUS_BAR = 32
"""Rows at the top of the screen that do not scroll."""

# What the camera needs of the work RAM, beyond mario_envkit.game.ram; same names, same source.
_SPRITES = 0x0200  # Sprite_Data: 64 of 4 bytes; the first is part of the status bar
_SCROLL_PAGE, _SCROLL_X = 0x071A, 0x071C  # ScreenLeft_PageLoc, ScreenLeft_X_Pos
_SCROLL_LOCK = 0x0723  # ScrollLock
_PARSER_PAGE, _PARSER_COLUMN = 0x0725, 0x0726  # CurrentPageLoc, CurrentColumnPos
_PARSER_OFFSET = 0x072C  # AreaDataOffset: how much of the area's description has been read
_LOOP_COMMAND = 0x0745  # LoopCommand: a maze is about to send Mario back
_COLOR_ROTATION = 0x06D4  # ColorRotateOffset: which colour the question marks have
_X_SPEED, _Y_SPEED = 0x0057, 0x009F  # Player_X_Speed, Player_Y_Speed
_Y_POSITION = 0x00CE  # Player_Y_Position
_INJURY_TIMER = 0x079E  # InjuryTimer

_FASTEST = 40  # sixteenths of a pixel a frame
_OFF_SCREEN = 0xF8
_LONGEST_OBJECT = 16  # columns that the last object of an area may go on for
_COLUMN = 16  # pixels
_END_OF_AREA = 0xFD
_MOST_PAGES = 32
_MOST_FRAMES = 6000  # several times what the longest level takes

_BARS = 48  # rows of the bars below a map
_NUMBERS = 20  # bars that have a number
_PAPER, _RED = 245, (225, 30, 30)


@dataclass(frozen=True, eq=False)
class LevelMap:
    """A level from end to end, as the screen would show it if it were as wide.

    Attributes:
        level: "1-1".
        picture: ``(208, width, 3)`` uint8 RGB without the status bar; column x is ``x_pos`` x.
            Enemies, lifts and the like move, and are not in it.
        area: which of the level's areas it shows, as in the info.
    """

    level: str
    picture: Picture
    area: int = 0


def draw_level(
    level: Any,
    *,
    game: str = "smb",
    rom: str | os.PathLike[str] | None = None,
    rom_variant: str = "vanilla",
    rom_unknown: str = "refuse",
) -> LevelMap:
    """Fly over a level and put together what there is to see of the area it begins in.

    Mario is carried along above the screen; what the game would do to stop him, or to send him
    back, is written over in the work RAM. Takes about a tenth of a second.

    Args:
        level: "1-1" or ``(1, 1)``.
        game, rom, rom_variant, rom_unknown: as for :class:`~mario_envkit.env.MarioEnv`.

    Raises:
        LevelError: if the game has no such level.
        BackendUnavailable: without the native core.
        GameStuck: if the level has no end, which a damaged cartridge image may do.
    """
    stage = parse_level(level, game)
    # Console timing: frames end before the game hands the sprites to the picture of the next one.
    env = MarioEnv(
        game, stage, backend="native", timing="console", rom=rom, rom_variant=rom_variant,
        rom_unknown=rom_unknown,
    )  # fmt: skip
    try:
        _, info = env.reset()
        return LevelMap(str(stage), _fly(env, env.cartridge.program), info["area"])
    finally:
        env.close()


def draw_deaths(level_map: LevelMap, deaths: DeathHotspotAggregate) -> Picture:
    """The map with the deaths of its level: a red veil where Mario dies, and how often, as bars.

    Args:
        level_map: of :func:`draw_level`.
        deaths: where Mario died; those known to have been in other areas of the level are left
            out.

    Returns:
        ``(256, width, 3)`` uint8 RGB: the map, and below it a bar for each bucket, as high as its
        share of the deadliest one's deaths, which the numbers tell.
    """
    if not isinstance(level_map, LevelMap):
        raise not_possible("level_map", level_map, "what draw_level() returned")
    if not isinstance(deaths, DeathHotspotAggregate):
        raise not_possible("deaths", deaths, "a DeathHotspotAggregate")
    width = level_map.picture.shape[1]
    whole = np.concatenate([level_map.picture, np.full((_BARS, width, 3), _PAPER, np.uint8)])
    buckets = deaths.in_area(level_map.level, level_map.area)
    most = buckets[0][1] if buckets else 1
    size = deaths.bucket_size
    for x, count in buckets:
        share = count / most
        veiled = whole[:-_BARS, x : x + size]
        veiled[:] = veiled * (1 - 0.7 * share**0.5) + np.array(_RED) * 0.7 * share**0.5
        height = max(1, round(share * (_BARS - 12)))
        whole[-height:, x + 1 : x + size - 1] = _RED
    for x, count in buckets[:_NUMBERS]:
        height = max(1, round(count / most * (_BARS - 12)))
        place = x + 2, whole.shape[0] - height - 2
        cv2.putText(whole, str(count), place, cv2.FONT_HERSHEY_PLAIN, 0.7, (0, 0, 0), 1)
    return whole


def save_png(picture: Picture, path: str | os.PathLike[str]) -> None:
    """Save a picture ``(height, width, 3)`` uint8 RGB, all of it or nothing.

    Raises:
        OptionError: if the file cannot be written, or it is no picture.
    """
    target = as_file("path", path)
    fits = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3
    if not fits or picture.shape[2] != 3 or not picture.size:
        raise not_possible("picture", picture, "an array (height, width, 3) of uint8")
    _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    try:
        replace_file(target, lambda temporary: temporary.write_bytes(png.tobytes()))
    except OSError as error:
        raise OptionError(f"The picture cannot be saved as {target}: {error.strerror}.") from error


def _fly(env: MarioEnv, prg: bytes) -> Picture:
    console = env.emulator
    whole = np.zeros((240 - STATUS_BAR, _MOST_PAGES * 256, 3), np.uint8)
    drawn, end = 0, whole.shape[1]
    for _ in range(_MOST_FRAMES):
        ram = console.ram
        if end == whole.shape[1] and _description(ram, prg) == _END_OF_AREA:
            parsed = 16 * int(ram[_PARSER_PAGE]) + int(ram[_PARSER_COLUMN])
            end = min(end, (parsed + _LONGEST_OBJECT) * _COLUMN)
        left = int(ram[_SCROLL_PAGE]) << 8 | int(ram[_SCROLL_X])
        _carry(ram)
        console.step(Buttons.RIGHT | Buttons.B)
        if drawn == 0 or left + 256 >= drawn + _COLUMN:
            whole[:, left : left + 256] = console.screen()[STATUS_BAR:]
            drawn = left + 256
            if drawn >= end:
                picture: Picture = whole[:, :end].copy()
                return picture
    raise GameStuck.unplayable()


def _description(ram: NDArray[np.uint8], prg: bytes) -> int:
    """The byte of the area's description that the game will read next."""
    address = (int(ram[m.AREA_DATA + 1]) << 8 | int(ram[m.AREA_DATA])) + int(ram[_PARSER_OFFSET])
    return prg[address - 0x8000]


def _carry(ram: NDArray[np.uint8]) -> None:
    """Keep Mario above the screen and on his way, and sprites off it."""
    ram[m.Y_VIEWPORT], ram[_Y_POSITION], ram[_Y_SPEED] = 0, 0x80, 0
    ram[_X_SPEED], ram[_INJURY_TIMER] = _FASTEST, 8
    ram[_SCROLL_LOCK] = ram[_LOOP_COMMAND] = ram[_COLOR_ROTATION] = 0
    ram[_SPRITES + 4 : _SPRITES + 256 : 4] = _OFF_SCREEN
