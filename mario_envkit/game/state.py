"""What the game's memory says, under names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from mario_envkit.game import ram as m

STATUS_NAMES = ("small", "tall", "fireball")

_SLOTS = len(m.ENEMY_FLAGS)
# As numbers, which are found faster than attributes.
_ENEMY_FLAG, _ENEMY_ID, _LIFT_CONTACT = (
    each.start for each in (m.ENEMY_FLAGS, m.ENEMY_TYPES, m.LIFT_CONTACTS)
)


class GameState(NamedTuple):
    """The facts of one frame; the vector environment holds an array ``(num_envs,)`` in each field.

    The readings are those of gym-super-mario-bros 7.4 (``smb_env.py``), which see
    :mod:`mario_envkit.game.ram` for.

    Attributes:
        world, stage: as shown on screen, from 1.
        area: identity of the loaded area (the address of its data), the same on every visit.
        x_pos: pixels from the left end of the area; negative beyond it, where 7.4 says 65,535.
        y_pos: pixels from the bottom of the screen; above 255 when above its top.
        time: the clock, counting down.
        score, coins: as shown on screen.
        life: lives left behind this one; 255 at game over.
        powerup: 0 small, 1 tall, 2 and more fireballs.
        flag_get: the stage is won: on the flagpole, or the bridge's axe is taken.
        dying: the death animation plays, or Mario is below the screen.
        dead: the game has noticed that he died.
        fallen: below the screen.
        busy: the joypad does nothing (pipes, vines, doors).
        world_over: the cut-scene at the end of a world.
        game_over: no life is left.
        airborne: Mario jumps or falls, or a lift carries him; swimming is neither.
        swimming: the area is under water.
    """

    world: int
    stage: int
    area: int
    x_pos: int
    y_pos: int
    time: int
    score: int
    coins: int
    life: int
    powerup: int
    flag_get: bool
    dying: bool
    dead: bool
    fallen: bool
    busy: bool
    world_over: bool
    game_over: bool
    airborne: bool = False
    swimming: bool = False


def signed(byte: int) -> int:
    """A byte of two's complement, -128 to 127."""
    return byte - 256 if byte > 127 else byte


def digits(ram: Sequence[int], addresses: range) -> int:
    """A number that the game keeps one decimal digit a byte.

    Like 7.4, digits are put side by side as text: outside play the bytes can exceed 9.
    """
    return _number(bytes(ram[addresses.start : addresses.stop]))


@lru_cache(maxsize=4096)  # the same few numbers, frame after frame
def _number(figures: bytes) -> int:
    return int("".join(map(str, figures)))


def read_clock(ram: Sequence[int]) -> int:
    """The clock, 0 to 400."""
    return digits(ram, m.TIME)


def is_busy(ram: Sequence[int]) -> bool:
    """Whether the joypad does nothing at the moment."""
    return ram[m.PLAYER_STATE] in m.BUSY_STATES


def is_world_over(ram: Sequence[int]) -> bool:
    """Whether the cut-scene at the end of a world plays."""
    return ram[m.OPERATION_MODE] == m.MODE_END_OF_WORLD


def is_dying(ram: Sequence[int]) -> bool:
    """Whether Mario is in his death animation or below the screen."""
    return ram[m.PLAYER_STATE] == m.STATE_DYING or ram[m.Y_VIEWPORT] > 1


def _is_flag_held(ram: Sequence[int]) -> bool:
    """Whether what Mario climbs, if he does, is the flagpole."""
    return any(ram[address] in m.STAGE_OVER_ENEMIES for address in m.ENEMY_TYPES)


def _is_carried(ram: Sequence[int]) -> bool:
    """Whether Mario stands on a lift."""
    for slot in range(_SLOTS):
        kind = ram[_ENEMY_ID + slot]
        if m.LARGE_LIFTS <= kind < m.BEHIND_LIFTS and ram[_ENEMY_FLAG + slot]:
            nowhere = 255 if kind < m.SMALL_LIFTS else 0
            if ram[_LIFT_CONTACT + slot] != nowhere:
                return True
    return False


def read_state(ram: Sequence[int]) -> GameState:
    """Read the game from its 2,048 bytes of RAM (a memoryview is the fastest)."""
    player_state, y_viewport, life = ram[m.PLAYER_STATE], ram[m.Y_VIEWPORT], ram[m.LIFE]
    world_over = is_world_over(ram)
    fallen = y_viewport > 1
    float_state, swimming = ram[m.FLOAT_STATE], ram[m.SWIMMING] != 0
    climbing = float_state == m.FLOAT_STATE_CLIMBING
    # Not by name, which takes much longer, and every frame is read.
    return tuple.__new__(
        GameState,
        (
            ram[m.WORLD] + 1,
            ram[m.STAGE] + 1,
            ram[m.AREA_DATA] | ram[m.AREA_DATA + 1] << 8,
            signed(ram[m.X_PAGE]) << 8 | ram[m.X_ON_PAGE],
            (510 if y_viewport < 1 else 255) - ram[m.Y_PIXEL],
            digits(ram, m.TIME),
            digits(ram, m.SCORE),
            digits(ram, m.COINS),
            life,
            ram[m.POWERUP],
            world_over or (climbing and _is_flag_held(ram)),
            fallen or player_state == m.STATE_DYING,  # as is_dying()
            player_state == m.STATE_DEAD,
            fallen,
            player_state in m.BUSY_STATES,  # as is_busy()
            world_over,
            life == m.NO_LIVES_LEFT,
            not swimming and (float_state in m.FLOAT_STATES_IN_AIR or _is_carried(ram)),
            swimming,
        ),
    )
