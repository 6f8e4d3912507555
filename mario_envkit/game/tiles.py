"""The game as a small grid of codes: what ``observation="tiles"`` shows.

A tile picture is ``(16, 16)`` uint8 in three parts (:func:`split` takes them apart):

* rows 0 to 12, the **grid**: 13 x 16 blocks of 16 x 16 pixels, coded as :class:`Tile`. Rows are
  those of the level from the score bar down; columns move with Mario, who is always in column
  :data:`MARIO_COLUMN`. What the game has not built yet is empty.
* row 13, the **facts**: 16 numbers about Mario, see :data:`FACTS`.
* rows 14 and 15, the **objects**: 10 times (:class:`Tile`, dx, dy), and two bytes that are zero;
  with ``show_buttons=True`` the first of these, at :data:`BUTTONS`, is the joypad as the game has
  read it last: A, B, select, start, up, down, left and right from the highest bit down. With sticky
  actions that is not always what was asked for. With ``show_level=True`` the second one, at
  :data:`LEVEL`, is the level, 1 for 1-1, 5 for 2-1, 32 for 8-4. Of the objects first come the
  game's six enemy slots in their own order (so that an object keeps its place from picture to
  picture), then four of its slots for thrown hammers. dx and dy are pixels from Mario plus 128,
  limited to 0 to 255: dx of the middles, dy of the bottom (of platforms the top) below Mario's
  feet. An empty slot is (0, 255, 128).

A convolution or embedding takes the grid; :data:`PROPERTIES` turns codes into two numbers for
networks without one; facts and objects are numbers to be divided by 255.

Everything is read from work RAM; names and meanings of addresses are those of doppelganger's
commented disassembly ("SMBDIS.ASM"). The native core computes the same bytes
(``native/tiles.cpp``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mario_envkit.game.levels import STAGES
from mario_envkit.game.ram import STAGE, WORLD
from mario_envkit.game.state import signed

GRID_ROWS, GRID_COLUMNS = 13, 16
SHAPE = (16, 16)
BUTTONS = (15, 14)
"""Row and column of the joypad."""
LEVEL = (15, 15)
"""Row and column of the level."""
MARIO_COLUMN = 4
"""Three quarters of the view lie before him; the game builds at least 12 columns ahead."""


class Tile(IntEnum):
    """What a cell of the grid, or an object, is."""

    EMPTY = 0
    SOLID = 1  # ground, stairs, pipes, used blocks, bridges
    BRICK = 2  # can be bumped, by tall Mario broken
    QUESTION = 3
    PIPE = 4  # the mouth of a pipe that can be entered; solid
    HIDDEN = 5  # a block that only a bump from below reveals
    COIN = 6
    VINE = 7
    GOAL = 8  # flagpole or axe
    PLATFORM = 9  # lifts and balances
    SPRING = 10
    POWER_UP = 11  # mushroom, flower, star, extra life
    MARIO = 12
    FIREBALL = 13  # his own
    SHELL = 14  # lies still: it can be kicked
    ENEMY = 15  # walks, dies when jumped on; a sliding shell as well
    FLYER = 16  # jumps, flies or throws, dies when jumped on
    SPIKY = 17  # must not be jumped on: spinies, plants, everything that swims
    HAZARD = 18  # fire bars, flames, podoboos, hammers
    BOWSER = 19


CODES = len(Tile)
_LAST_SOLID = Tile.PIPE

PROPERTIES: NDArray[np.float32] = np.zeros((CODES, 2), np.float32)
"""``(CODES, 2)`` float32: how solid (0 to 1) and how dangerous (-1 good for Mario, 1 deadly)."""
for _code, _pair in {
    Tile.SOLID: (1, 0), Tile.BRICK: (1, -0.1), Tile.QUESTION: (1, -0.3), Tile.PIPE: (1, -0.2),
    Tile.HIDDEN: (0.3, 0), Tile.COIN: (0, -0.3), Tile.VINE: (0.2, -0.2), Tile.GOAL: (0, -1),
    Tile.PLATFORM: (0.8, 0), Tile.SPRING: (0.6, 0), Tile.POWER_UP: (0, -0.7),
    Tile.FIREBALL: (0, -0.1), Tile.SHELL: (0, 0.4), Tile.ENEMY: (0, 0.6), Tile.FLYER: (0, 0.7),
    Tile.SPIKY: (0, 0.9), Tile.HAZARD: (0, 1), Tile.BOWSER: (0, 1),
    Tile.MARIO: (-0.5, 0),
}.items():  # fmt: skip
    PROPERTIES[_code] = _pair

FACTS = (
    "x_in_block",  # 16 times the pixels by which Mario's middle is beyond its block's left edge
    "y_in_block",  # 16 times the pixels by which his feet are below a block's top edge
    "x_speed",  # 128 + sixteenths of a pixel a frame
    "y_speed",  # 128 + sixteenths of a pixel a frame, positive downwards
    "air",  # 0 on the ground, 80 jumping or swimming up, 160 falling, 240 climbing
    "power",  # 0 small, 120 tall, 240 fireballs
    "swimming",  # 0 or 255
    "star",  # 255 while a star protects him, then fading
    "hurt",  # 255 just after he was hurt, while nothing can hurt him again, then fading
    "crouching",  # 0 or 255
    "facing",  # 0 left, 255 right
    "a_held",  # 0 or 255: A was held; it must be let go before the next jump
    "height",  # pixels of his top below the top of the screen; 0 if above
    "x_on_screen",  # pixels from the left edge of the screen, which stops him
    "x_in_area",  # blocks from the beginning of the area
    "area",  # 0 water, 80 open air, 160 underground, 240 castle
)
"""Names of the 16 facts, each a byte."""

# -- work RAM (single bytes; of objects one after another) -------------------------------------

_PREVIOUS_BUTTONS = 0x000D  # PreviousA_B_Buttons: A is bit 7
_ENEMY_FLAG = 0x000F  # six slots; 0 free, bit 7 set: the rear half of something long
_ENEMY_ID = 0x0016
_PLAYER_STATE = 0x001D
_ENEMY_STATE = 0x001E
_FIREBALL_STATE = 0x0024  # two slots; 0 free, bit 7 set: bursting
_MISC_STATE = 0x002A  # nine slots; bit 7 set: a hammer
_FACING = 0x0033  # PlayerFacingDir: 1 right, 2 left
_X_SPEED = 0x0057
_X_PAGE = 0x006D  # SprObject_PageLoc: player, enemies +1, fireballs +7, blocks +9, misc +13
_X = 0x0086
_Y_SPEED = 0x009F
_SPIN_STATE = 0x00A0  # FirebarSpinState_High of enemy slots: 32 steps, clockwise from the top
_Y_PAGE = 0x00B5  # SprObject_Y_HighPos: 1 is the screen
_Y = 0x00CE
_Y_FORCE = 0x0433  # SprObject_YMF_Dummy of the player: 256ths of a pixel a frame
_BLOCKS = 0x0500  # Block_Buffer_1 and _2: two pages of 13 rows of 16 metatiles
_BOX_KIND = 0x049A  # Enemy_BoundBoxCtrl
_JOYPAD = 0x06FC  # SavedJoypad1Bits
_SWIMMING = 0x0704
_CROUCHING = 0x0714
_SCREEN_PAGE, _SCREEN_X = 0x071A, 0x071C  # left edge
_NEXT_PAGE, _NEXT_COLUMN = 0x0725, 0x0726  # the column that the game builds next
_AREA_TYPE = 0x074E
_SIZE = 0x0754  # PlayerSize: 0 big, 1 small
_STATUS = 0x0756
_HURT_TIMER, _STAR_TIMER = 0x079E, 0x079F

_ENEMIES, _FIREBALLS, _MISC = 1, 7, 13  # first slots
_ENEMY_SLOTS, _FIREBALL_SLOTS, _MISC_SLOTS = 6, 2, 9
_HAMMERS_LISTED = 4

_TOP = 32  # pixels of the score bar, above the first row
_PAGE_BYTES = GRID_ROWS * 16


def _metatile_codes() -> NDArray[np.uint8]:
    """What a byte of the block buffer means.

    Only what the game itself collides with gets into the buffer (BlockBuffLowBounds); what is
    none of the others here is solid.
    """
    codes = np.full(256, Tile.SOLID, np.uint8)
    for code, metatiles in {
        Tile.EMPTY: (0x00,),
        Tile.PIPE: (0x10, 0x11, 0x1F, 0x6C),
        Tile.GOAL: (0x24, 0x25, 0xC5),
        Tile.VINE: (0x26,),
        Tile.BRICK: (0x51, 0x52, *range(0x55, 0x5F)),
        Tile.HIDDEN: (0x5F, 0x60),
        Tile.QUESTION: (0xC0, 0xC1),
        Tile.COIN: (0xC2, 0xC3),
    }.items():
        codes[list(metatiles)] = code
    return codes


METATILE_CODES = _metatile_codes()


def _enemy_codes() -> list[Tile]:
    """What an Enemy_ID means; EMPTY is nothing that Mario can touch."""
    codes = [Tile.EMPTY] * 256
    for code, kinds in {
        Tile.ENEMY: (*range(0x00, 0x05), 0x06),  # Koopas, Buzzy Beetle, Goomba
        # Hammer Bro, Paratroopas, Bullet Bills, Lakitu, flying Cheep-Cheep
        Tile.FLYER: (0x05, 0x08, 0x0E, 0x0F, 0x10, 0x11, 0x14, 0x33),
        Tile.SPIKY: (0x07, 0x0A, 0x0B, 0x0D, 0x12),  # Blooper, Cheep-Cheeps, plant, Spiny
        Tile.HAZARD: (0x0C, 0x15, *range(0x1B, 0x20)),  # Podoboo, Bowser's flame, fire bars
        Tile.PLATFORM: tuple(range(0x24, 0x2D)),
        Tile.BOWSER: (0x2D,),
        Tile.POWER_UP: (0x2E,),
        Tile.SPRING: (0x32,),
    }.items():
        for kind in kinds:
            codes[kind] = code
    return codes


ENEMY_CODES = _enemy_codes()

_GOOMBA, _LAST_SHELLED = 0x06, 0x04
_FLAME, _FIRE_BARS, _LONG_FIRE_BAR, _BOWSER = 0x15, range(0x1B, 0x20), 0x1F, 0x2D
_DEFEATED, _SLIDING, _STUNNED = 0x20, 0x80, 0x02  # bits and least value of Enemy_State

PLATFORM_WIDTHS = {4: 24, 5: 32, 6: 48}
"""Pixels, by Enemy_BoundBoxCtrl."""

_QUARTER_SINE = (0, 50, 98, 142, 181, 213, 237, 251, 256)  # of 0 to 90 degrees, times 256


def _sine(step: int, radius: int) -> int:
    """``radius * sin(step / 32 of a turn)``; the game's own table is at most a pixel away."""
    step %= 32
    quarter = step % 16
    value = radius * _QUARTER_SINE[min(quarter, 16 - quarter)] >> 8
    return value if step < 16 else -value


# -- the picture -------------------------------------------------------------------------------


def read_tiles(
    ram: Sequence[int] | NDArray[np.uint8],
    *,
    show_buttons: bool = False,
    show_level: bool = False,
) -> NDArray[np.uint8]:
    """The tile picture of 2,048 bytes of work RAM: ``(16, 16)`` uint8."""
    memory = bytes(ram)
    picture = np.zeros(SHAPE, np.uint8)
    view = _View(memory, picture[:GRID_ROWS])
    view.draw_blocks()
    _draw_mario(memory, view)
    objects = [_draw_enemy(memory, view, slot) for slot in range(_ENEMY_SLOTS)]
    objects += _draw_hammers(memory, view)
    for slot in range(_FIREBALLS, _FIREBALLS + _FIREBALL_SLOTS):
        state = memory[_FIREBALL_STATE + slot - _FIREBALLS]
        if 0 < state < 0x80:
            x, y = _position(memory, slot)
            view.put(x + 4, y + 4, Tile.FIREBALL)
    picture[GRID_ROWS] = _facts(memory)
    picture[GRID_ROWS + 1 :].flat[: 3 * len(objects)] = np.array(objects).ravel()
    if show_buttons:
        picture[BUTTONS] = memory[_JOYPAD]
    if show_level:
        picture[LEVEL] = STAGES * memory[WORLD] + memory[STAGE] + 1 & 255
    return picture


def split(
    observation: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Grid ``(..., 13, 16)``, facts ``(..., 16)`` and objects ``(..., 10, 3)`` of tile pictures."""
    objects = observation[..., GRID_ROWS + 1 :, :].reshape(*observation.shape[:-2], 32)[..., :30]
    facts = observation[..., GRID_ROWS, :]
    return observation[..., :GRID_ROWS, :], facts, objects.reshape(*objects.shape[:-1], 10, 3)


def level_of(observation: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(...,)`` uint8, the level in tile pictures ``(..., 16, 16)`` with ``show_level=True``: 1
    for 1-1, 5 for 2-1; 0 where none is shown."""
    row, column = LEVEL
    return observation[..., row, column]


class _View:
    """The grid, and where in the area it lies."""

    def __init__(self, memory: bytes, grid: NDArray[np.uint8]) -> None:
        self._memory, self._grid = memory, grid
        x, self.mario_top = _position(memory, 0)
        self.mario_x, self.mario_feet = x + 8, self.mario_top + 32
        self._first_column = (self.mario_x >> 4) - MARIO_COLUMN

    def draw_blocks(self) -> None:
        """The block buffer: it holds the last 32 columns that the game has built."""
        memory = self._memory
        following = memory[_NEXT_PAGE] << 4 | memory[_NEXT_COLUMN] & 15
        for column in range(GRID_COLUMNS):
            source = self._first_column + column
            if source >= 0 and 0 < following - source <= 32:
                start = _BLOCKS + (source >> 4 & 1) * _PAGE_BYTES + (source & 15)
                blocks = np.frombuffer(memory[start : start + _PAGE_BYTES - 15 : 16], np.uint8)
                self._grid[:, column] = METATILE_CODES[blocks]

    def put(self, x: int, y: int, code: Tile) -> None:
        """Show ``code`` where pixel (x, y) is; what is inside something solid stays hidden."""
        row, column = y - _TOP >> 4, (x >> 4) - self._first_column
        if not (0 <= row < GRID_ROWS and 0 <= column < GRID_COLUMNS):
            return
        if not Tile.SOLID <= self._grid[row, column] <= _LAST_SOLID:
            self._grid[row, column] = code

    def listed(self, code: Tile, x: int, y: int) -> tuple[int, int, int]:
        """The entry of an object, whose middle is at ``x`` and whose bottom at ``y``."""
        return int(code), _byte(128 + x - self.mario_x), _byte(128 + y - self.mario_feet)


_NOTHING = int(Tile.EMPTY), 255, 128


def _byte(value: int) -> int:
    return min(max(value, 0), 255)


def _position(memory: bytes, slot: int) -> tuple[int, int]:
    """Pixels of an object's top left corner from that of the area; the screen's top is y 0."""
    return (
        signed(memory[_X_PAGE + slot]) << 8 | memory[_X + slot],
        signed(memory[_Y_PAGE + slot] - 1 & 255) * 256 + memory[_Y + slot],
    )


def _draw_mario(memory: bytes, view: _View) -> None:
    view.put(view.mario_x, view.mario_top + 24, Tile.MARIO)
    if not memory[_SIZE] and not memory[_CROUCHING]:
        view.put(view.mario_x, view.mario_top + 8, Tile.MARIO)


def _draw_enemy(memory: bytes, view: _View, slot: int) -> tuple[int, int, int]:
    """Show what is in an enemy slot; returns its entry among the objects."""
    code = _enemy_code(memory, slot)
    if code == Tile.EMPTY:
        return _NOTHING
    kind = memory[_ENEMY_ID + slot]
    x, y = _position(memory, _ENEMIES + slot)
    if code == Tile.PLATFORM:
        width = PLATFORM_WIDTHS.get(memory[_BOX_KIND + slot], 48)
        for part in range(4, width, 16):
            view.put(x + part, y + 4, code)
        return view.listed(code, x + width // 2, y)
    if kind in _FIRE_BARS:
        for part_x, part_y in _fire_bar(memory, slot, x + 4, y + 4):
            view.put(part_x, part_y, code)
        return view.listed(code, x + 4, y + 8)
    if kind == _FLAME:
        view.put(x + 4, y + 4, code)
        view.put(x + 20, y + 4, code)
        return view.listed(code, x + 12, y + 8)
    if kind == _BOWSER:
        for part in (0, 1, 2, 3):
            view.put(x + 8 + 16 * (part & 1), y + 8 + 8 * (part & 2), code)
        return view.listed(code, x + 16, y + 32)
    view.put(x + 8, y + 16, code)
    return view.listed(code, x + 8, y + 24)


def _enemy_code(memory: bytes, slot: int) -> Tile:
    """What an enemy slot holds, as far as Mario is concerned."""
    flag, state = memory[_ENEMY_FLAG + slot], memory[_ENEMY_STATE + slot]
    if not flag or flag & 0x80:
        return Tile.EMPTY
    kind = memory[_ENEMY_ID + slot]
    code = ENEMY_CODES[kind]
    if Tile.ENEMY <= code <= Tile.SPIKY:
        if state & _DEFEATED:
            return Tile.EMPTY
        if code == Tile.ENEMY and not state & _SLIDING and state & 7 >= _STUNNED:
            # A flat Goomba does nothing any more; the others are in their shells.
            return Tile.EMPTY if kind == _GOOMBA else Tile.SHELL
    return code


def _fire_bar(memory: bytes, slot: int, x: int, y: int) -> Iterator[tuple[int, int]]:
    """Middles of the balls of a fire bar that turns around (x, y)."""
    step = memory[_SPIN_STATE + slot] & 31
    balls = 12 if memory[_ENEMY_ID + slot] == _LONG_FIRE_BAR else 6
    for radius in range(0, 8 * balls, 8):
        yield x + _sine(step, radius), y - _sine(step + 8, radius)


def _draw_hammers(memory: bytes, view: _View) -> list[tuple[int, int, int]]:
    entries = []
    for slot in range(_MISC, _MISC + _MISC_SLOTS):
        if memory[_MISC_STATE + slot - _MISC] & 0x80:
            x, y = _position(memory, slot)
            view.put(x + 4, y + 4, Tile.HAZARD)
            entries.append(view.listed(Tile.HAZARD, x + 4, y + 8))
    return (entries + [_NOTHING] * _HAMMERS_LISTED)[:_HAMMERS_LISTED]


def _facts(memory: bytes) -> list[int]:
    x, y = _position(memory, 0)
    left = memory[_SCREEN_PAGE] << 8 | memory[_SCREEN_X]
    # The speed's whole pixels are signed; the fraction below them always adds downwards.
    y_speed = (signed(memory[_Y_SPEED]) << 4) + (memory[_Y_FORCE] >> 4)
    return [
        (x + 8 & 15) << 4,
        (y & 15) << 4,
        _byte(128 + signed(memory[_X_SPEED])),
        _byte(128 + y_speed),
        min(memory[_PLAYER_STATE], 3) * 80,
        min(memory[_STATUS], 2) * 120,
        255 * (memory[_SWIMMING] != 0),
        _byte(memory[_STAR_TIMER] * 16),
        _byte(memory[_HURT_TIMER] * 32),
        255 * (memory[_CROUCHING] != 0),
        255 * (memory[_FACING] == 1),
        255 * (memory[_PREVIOUS_BUTTONS] >> 7),
        _byte(y),
        _byte(x - left),
        _byte(x >> 4),
        min(memory[_AREA_TYPE], 3) * 80,
    ]
