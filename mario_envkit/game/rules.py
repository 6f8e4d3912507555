"""How gym-super-mario-bros 7.4 drives the game: what it skips, and by which RAM writes.

Published results depend on these rules down to the frame, so they are kept exactly
(``smb_env.py`` of 7.4: ``_skip_start_screen`` and ``_did_step``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mario_envkit.emulator.buttons import Buttons
from mario_envkit.emulator.protocol import Emulator
from mario_envkit.errors import MarioEnvkitError
from mario_envkit.game import ram as m
from mario_envkit.game.levels import Level
from mario_envkit.game.state import is_busy, is_dying, is_world_over, read_clock

# Far more than any cut-scene: a game that shows no end of one was written to from outside.
_PATIENCE = 20_000


class GameStuck(MarioEnvkitError):
    """The game does not come back to a state in which it can be played."""

    @classmethod
    def unplayable(cls) -> GameStuck:
        """Nothing playable in sight."""
        return cls(
            f"The game has shown nothing playable for {_PATIENCE} frames; its RAM was probably "
            "written to from outside: reset the environment."
        )

    @classmethod
    def in_vector(cls, envs: Sequence[int]) -> GameStuck:
        """Nothing playable in sight in some environments of a vector."""
        return cls(
            f"The games of the environments {list(envs)} have shown nothing playable for "
            f"{_PATIENCE} frames; their RAM was probably written to from outside: reset these "
            "with reset(options={'reset_mask': ...}), and the others go on; only what this step "
            "returned is lost."
        )


class Game:
    """A running game: an emulator, its RAM as plain integers, and a count of frames.

    Attributes:
        emulator: the console.
        ram: its work RAM; reads and writes go to the machine.
        frames: frames stepped through this object.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.frames = 0
        self.refresh()

    def refresh(self) -> None:
        """Look up the RAM again; needed after the emulator was reset or loaded."""
        self.ram: Any = self.emulator.ram.data

    def frame(self, buttons: int, *, render: bool = False) -> None:
        """Hold ``buttons`` for a frame."""
        self.emulator.step(buttons, render=render)
        self.frames += 1

    def _frames_while(
        self, condition: Callable[[Sequence[int]], bool], buttons: Sequence[int] = (Buttons.NOOP,)
    ) -> None:
        for _ in range(_PATIENCE):
            if not condition(self.ram):
                return
            for byte in buttons:
                self.frame(byte)
        raise GameStuck.unplayable()

    def skip_start_screen(self, level: Level | None, game: str) -> None:
        """Press START until the game runs, at ``level`` or (None) from the beginning."""
        self.frame(Buttons.START)
        self.frame(Buttons.NOOP)

        def at_title(ram: Sequence[int]) -> bool:
            return read_clock(ram) == 0

        for _ in range(_PATIENCE):
            if not at_title(self.ram):
                break
            self.frame(Buttons.START)
            if level is not None:
                self._write_level(level, game)
            self.frame(Buttons.NOOP)
            self.ram[m.PRELEVEL_TIMER] = 0
        else:
            raise GameStuck(
                "The game did not start when START was pressed; the ROM is not one of Super Mario "
                "Bros, or damaged."
            )
        self._wait_for_first_tick()

    def _wait_for_first_tick(self) -> None:
        last = read_clock(self.ram)

        def not_ticked(ram: Sequence[int]) -> bool:
            nonlocal last
            now = read_clock(ram)
            ticked, last = now < last, now
            return not ticked

        self._frames_while(not_ticked, (Buttons.START, Buttons.NOOP))

    def _write_level(self, level: Level, game: str) -> None:
        self.ram[m.WORLD] = level.world - 1
        self.ram[m.STAGE] = level.stage - 1
        self.ram[m.AREA] = level.area_number(game) - 1

    def skip_to_control(self, *, single_stage: bool) -> None:
        """After a step that did not end the episode: skip whatever the joypad cannot influence.

        Death animations, cut-scenes at the end of a world (in the full game), changes of area,
        and black screens between lives.
        """
        ram = self.ram
        if is_dying(ram):
            ram[m.PLAYER_STATE] = m.STATE_DEAD
            self.frame(Buttons.NOOP)
        world_over = is_world_over(ram)
        if world_over and not single_stage:
            clock = read_clock(ram)
            self._frames_while(lambda ram: read_clock(ram) == clock)
            world_over = is_world_over(ram)
        if 1 < ram[m.CHANGE_AREA_TIMER] < 255:
            ram[m.CHANGE_AREA_TIMER] = 1
        if world_over or is_busy(ram):
            self._frames_while(self._still_busy)

    def _still_busy(self, ram: Sequence[int]) -> bool:
        if is_busy(ram) or is_world_over(ram):
            self.ram[m.PRELEVEL_TIMER] = 0
            return True
        return False
