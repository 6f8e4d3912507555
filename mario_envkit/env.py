"""Super Mario Bros as a Gymnasium environment, with the rules of gym-super-mario-bros 7.4."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from mario_envkit.arguments import (
    as_bool,
    as_choice,
    as_path,
    as_seed,
    as_text,
    plain,
)
from mario_envkit.copies import CopiedWhole
from mario_envkit.curriculum.level_text import resolve_schedule
from mario_envkit.curriculum.schedule import ScheduledLevels
from mario_envkit.emulator.backends import make_emulator
from mario_envkit.emulator.picture import Picture, as_picture
from mario_envkit.emulator.protocol import RAM_SIZE
from mario_envkit.emulator.rom import GAMES, UNKNOWN, UNKNOWN_CHOICES, find_rom
from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.env_spec import MarioSpec
from mario_envkit.errors import ResetRequired, RomError, WindowClosed
from mario_envkit.game import ram as m
from mario_envkit.game import tiles
from mario_envkit.game.actions import check_action, describe
from mario_envkit.game.endings import EpisodeRecord, ending_of, is_success
from mario_envkit.game.info import info_of
from mario_envkit.game.levels import WORLDS, Level
from mario_envkit.game.reward_options import reweighted, weighted
from mario_envkit.game.rewards import RewardFunction
from mario_envkit.game.rules import Game, GameStuck
from mario_envkit.game.start import StartPoint, read_options
from mario_envkit.game.state import read_state
from mario_envkit.game.tile_options import TileOptions
from mario_envkit.step_lock import StepLock
from mario_envkit.window import Window, can_open_windows, keys_to_action

Observation = NDArray[np.uint8]
JOYPAD_BYTES = 256
OBSERVATIONS = ("pixels", "tiles", "ram")


class MarioEnv(CopiedWhole, gymnasium.Env[Observation, Any]):
    """One game, one frame a step, actions are joypad bytes.

    Everything comfortable (named actions, frame skip, stacking...) is a wrapper on top of it;
    the registered ids put them together from the same keyword arguments.

    The rules are those of gym-super-mario-bros 7.4, frame by frame: the start screen, cut-scenes
    and moments in which the joypad does nothing are skipped; with a single level an episode ends
    with death, the flag or a warp to another stage (``end_on_exit``), in the full game with the
    last life or the axe of the last world.

    Info, on every step and reset: ``coins flag_get life score stage status time world x_pos
    y_pos`` as in 7.4, read at the end of the step's own frame; and

    * ``level`` ("1-1"), ``area`` (identity of the loaded area, an int);
    * ``frame``: frames since the level began, those skipped included; counts up, 60 a second;
    * ``died``, ``death_cause`` ("enemy", "pit", "clock", or "" while Mario lives), ``life_lost``;
    * ``ending``: how the step ended the episode, "" if it did not: "flag" (success: the flag or axe
      of the episode's stage, in the full game the last axe), "warp" (the stage was left without
      that), or the cause of the death that ended it; ``stages_cleared``: how many flags and axes
      were reached in this episode. See :mod:`mario_envkit.game.endings`;
    * ``snapshot_saved``, ``snapshot_restored``: False here, see the snapshot wrapper;
    * ``reward_parts``: each term of the reward before scale and clip.

    ``copy.deepcopy`` and pickle carry everything that the future depends on: the console, reward,
    random numbers, schedule and whatever else the environment remembers; in the other process too
    the same actions lead to the same observations, rewards and infos. The cartridge is not carried
    but found there as it was here (``rom``), and neither are a window and ``on_frame``. A copy of
    this environment waits for a step of another thread; one of wrappers around it cannot, as
    Gymnasium's copy themselves: copy those in the thread that steps.

    Args:
        game: "smb" or "lost_levels".
        level: "1-1" or ``(1, 1)``; "1-1..2-4" or a list of levels (one is drawn at each reset);
            "random", "sequential", "on-success", "weighted" or "worst", over all levels or over
            some, like "weighted:1-1..1-4"; "full" is the whole game with three lives; or a
            ``LevelSchedule``. See :func:`~mario_envkit.curriculum.level_text.resolve_schedule`.
        reward: "v7" (7.4), "v9" (9.x), "progress", or a ``RewardFunction``.
        reward_weights: other weights for terms of the reward, ``{"death": 25, "stall": 25}``, see
            :mod:`mario_envkit.game.reward_options`.
        observation: "pixels"; "tiles": a grid of codes around Mario and a few numbers,
            ``(16, 16)`` uint8, see :mod:`mario_envkit.game.tiles`; or "ram": the 2,048 bytes of
            work RAM.
        show_buttons: tiles show, too, which buttons the game has read last; with sticky actions
            these are not always the ones that were asked for.
        show_level: tiles show, too, in which level he is.
        picture: crop, grey and size of the pixels; None is RGB ``(240, 256, 3)``.
        backend: "native" or "nes-py"; None takes the best there is.
        timing: where a frame ends: "console" (at vertical blank, as on the machine), "nes-py"
            (bit for bit nes-py 8.2), or None for the backend's default, the first it has.
        rom: path of a cartridge image; None finds the one of gym-super-mario-bros.
        rom_variant: "vanilla", "downsample", "pixel" or "rectangle" graphics of 7.4.
        rom_unknown: "refuse" a ``rom`` that is not known, or "allow" it, such as a hack of Super
            Mario Bros (of the type NROM). Levels, rules, rewards and infos then read the addresses
            of the original's memory, and tiles its codes: whether they mean the same there nobody
            can promise, nor that every level exists. What does not come to a playable state is an
            error at the first reset of that level.
        render_mode: "rgb_array", "human" (a window) or None.
        end_on_exit: with a single stage, leaving it by a warp ends the episode. False is what 7.4
            does: the episode goes on in the other stage, and ends there with death or a flag.

    Raises:
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - an instance has its own if there is no display
        "render_modes": ["rgb_array", "human"],
        "render_fps": 60,
    }
    _spec: EnvSpec | None = None

    def __init__(
        self,
        game: str = "smb",
        level: Any = "1-1",
        reward: str | RewardFunction = "v7",
        observation: str = "pixels",
        picture: Picture | None = None,
        backend: str | None = None,
        timing: str | None = None,
        rom: str | os.PathLike[str] | None = None,
        rom_variant: str = "vanilla",
        render_mode: str | None = None,
        end_on_exit: bool = True,
        rom_unknown: str = "refuse",
        reward_weights: Mapping[str, float] | None = None,
        show_buttons: bool = False,
        show_level: bool = False,
    ) -> None:
        render_mode = as_choice(
            "render_mode", render_mode, self.metadata["render_modes"], optional=True
        )
        observation = as_choice("observation", observation, OBSERVATIONS)
        game, rom_variant = as_choice("game", game, GAMES), as_text("rom_variant", rom_variant)
        rom = None if rom is None else str(as_path("rom", rom).absolute())
        picture = as_picture(picture)
        level = level.tolist() if isinstance(level, (np.ndarray, np.generic)) else level
        end_on_exit = as_bool("end_on_exit", end_on_exit)
        backend, timing = plain(backend), plain(timing)
        tile_options = TileOptions.of(observation, show_buttons=show_buttons, show_level=show_level)
        rom_unknown = as_choice("rom_unknown", rom_unknown, UNKNOWN_CHOICES)
        CopiedWhole.__init__(
            self, game, level, reward, observation, picture, backend, timing, rom, rom_variant,
            render_mode, end_on_exit, rom_unknown, reward_weights,
            tile_options.show_buttons, tile_options.show_level,
        )  # fmt: skip
        self.cartridge = find_rom(game, rom_variant, rom, rom_unknown)
        self.game, self._last_world = game, WORLDS[game]
        self.schedule = resolve_schedule(level, game)
        self.reward_function = self._reward_made = weighted(reward, reward_weights)
        self.picture, self.render_mode, self.end_on_exit = picture, render_mode, end_on_exit
        self._observes, self._tile_options = observation, tile_options
        self.emulator = make_emulator(self.cartridge, backend, timing)
        self._set_up()

    def _set_up(self) -> None:
        """Spaces, buffers and the state before the first reset, once all arguments are known."""
        if not can_open_windows():  # who tries all modes, like Gymnasium's check, gets along
            self.metadata = {**self.metadata, "render_modes": ["rgb_array"]}
        self.draw = True
        """Set to False before a step whose observation nobody will look at: unless it ends the
        episode it then returns the last one that was made, which saves most of its time."""
        self.on_frame: Callable[[Observation], None] | None = None
        """Called with the RGB picture after every step, for windows and videos."""
        self.level: Level | None = None
        self.step_lock = StepLock()
        self.action_space = spaces.Discrete(JOYPAD_BYTES)
        shapes = {"pixels": self.picture.shape, "tiles": tiles.SHAPE, "ram": (RAM_SIZE,)}
        self._observation: Observation = np.zeros(shapes[self._observes], np.uint8)
        self.observation_space = spaces.Box(0, 255, self._observation.shape, np.uint8)
        self._game = Game(self.emulator)
        self._levels = ScheduledLevels(self.schedule, self.game)
        self._starts: dict[Level | None, Snapshot] = {}
        self._window: Any = None
        self._closed = self._playing = False  # the latter between a reset and its episode's end
        self._memory: Any = None  # the reward's; None before the first reset

    # -- Gymnasium ---------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: of everything random; None goes on with the random numbers there are.
            options: ``level`` ("1-2") overrides the schedule for this one episode; ``start``, a
                :class:`~mario_envkit.game.start.StartPoint`, does so and begins there;
                ``true_start`` is for environments with snapshots, others always begin truly.

        Raises:
            OptionError: for a seed or options that make no sense.
            LevelError: for a level that the game does not have.
            SnapshotMismatch: for a start of another game or core.
            CallOrderError: while another thread steps or resets this environment.
        """
        seed, asked = as_seed(seed), read_options(options, self.game)
        self.step_lock.begin()
        try:
            return self._reset(seed, asked)
        finally:
            self.step_lock.end()

    def _reset(
        self, seed: int | None, options: dict[str, Any]
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self._levels.restart()
        start = self._start_point(options)
        self.emulator.load(start.console)
        self._game.refresh()
        self._game.frames, self.level = start.frame, start.level
        state = read_state(self._game.ram)
        self._record = EpisodeRecord((state.world, state.stage))
        self._memory = self.reward_function.start(state)
        self._playing = True
        self._observation = self._observe()
        self._show()
        no_parts = dict.fromkeys((term.name for term in self.reward_function.terms), 0.0)
        return self._observation, info_of(state, no_parts, start.frame, 0, "")

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Hold the joypad byte ``action``, an integer from 0 to 255, for one frame.

        Raises:
            OptionError: for any other action.
            ResetRequired: before the first reset, and after a step that terminated the episode.
            CallOrderError: while another thread steps or resets this environment.
        """
        if type(action) is not int or not 0 <= action < JOYPAD_BYTES:
            action = check_action(action, JOYPAD_BYTES)
        lock = self.step_lock
        if not lock.acquire(False):  # begin() and end(), but faster: there are many steps
            lock.wait()
        lock.steps += 1
        try:
            return self._step(action)
        finally:
            lock.steps -= 1
            lock.release()

    def _step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if not self._playing:
            raise ResetRequired(
                "There is no episode to step: none was begun yet, or the last one is over; call "
                "reset() first."
            )
        game = self._game
        seen = self.render_mode == "human" or self.on_frame is not None
        game.frame(action, render=seen or (self.draw and self._observes == "pixels"))
        state = read_state(game.ram)
        reward, parts, self._memory = self.reward_function(self._memory, state)
        if state.flag_get:
            self._record = self._record.at_flag()
        ending = ending_of(
            state, self.level, last_world=self._last_world, end_on_exit=self.end_on_exit
        )
        terminated = ending != ""
        info = info_of(state, parts, game.frames, self._record.stages_cleared, ending)
        if terminated:
            self._playing = False
            self._levels.end(success=is_success(ending))
        else:
            single_stage = self.level is not None
            game.skip_to_control(single_stage=single_stage)
            if not single_stage:
                self._count_level(died=info["died"])
        if self.draw or terminated:
            self._observation = self._observe()
        if seen:
            self._show()
        return self._observation, float(reward), terminated, False, info

    def set_reward_weights(self, weights: Mapping[str, float]) -> None:
        """Other weights, from the next step on, for terms that the reward has.

        Raises:
            OptionError: for terms that it does not have, and weights that are not possible.
        """
        with self.step_lock:
            self.reward_function = reweighted(self.reward_function, weights)

    def render(self) -> Any:
        """The picture ``(240, 256, 3)`` uint8 for "rgb_array"; a window updates by itself."""
        return self.emulator.screen() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close window and emulator, after a step of another thread. Twice is harmless."""
        with self.step_lock:
            if self._closed:
                return
            self._closed = True
            self.emulator.close()
            if self._window is not None:
                self._window.close()

    def get_action_meanings(self) -> list[str]:
        """The buttons of every joypad byte, like "A+RIGHT"."""
        return [describe(byte) for byte in range(JOYPAD_BYTES)]

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """The keys of every joypad byte, for ``gymnasium.utils.play``: arrows, X (A), Z (B)...

        Raises:
            DisplayUnavailable: if pygame is not installed.
        """
        return keys_to_action(range(JOYPAD_BYTES))

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The console's 2,048 bytes of work RAM, as in 7.4: a live view, whose writes reach it.

        Fetch it again after a reset: the nes-py backend has another machine then.
        """
        return self.emulator.ram

    @property
    def spec(self) -> EnvSpec | None:
        """What ``gymnasium.make`` made this environment of; None if something else made it."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = None if spec is None else MarioSpec.of(spec)

    # -- inside ------------------------------------------------------------------------------

    def start_of(self, level: Level | None) -> Snapshot:
        """The machine at the first playable frame of ``level``; None is the full game.

        The first call for a level plays up to there, on this environment's own machine.
        """
        if level not in self._starts:
            self.emulator.reset()
            self._game.refresh()
            try:
                self._game.skip_start_screen(level, self.game)
            except GameStuck as error:
                if self.cartridge.variant != UNKNOWN:
                    raise
                raise RomError(
                    f"{self.cartridge.path} does not come to a playable state of "
                    f"{level or 'the full game'} when START is pressed, so it is no Super Mario "
                    "Bros, or does not have this level; use another image or level."
                ) from error
            self._starts[level] = self.emulator.save()
        return self._starts[level]

    def start_point(self) -> StartPoint:
        """Where the game is now, to begin episodes at: ``reset(options={"start": ...})``."""
        return StartPoint(self.emulator.save(), self.level, self._game.frames)

    def _start_point(self, options: dict[str, Any]) -> StartPoint:
        """Where an episode with these options begins."""
        asked: StartPoint | None = options.get("start")
        if asked is not None:
            self._levels.drop()
            return asked
        level = self._levels.next(self.np_random, options.get("level"))
        return StartPoint(self.start_of(level), level, 0)

    def _observe(self) -> Observation:
        if self._observes == "tiles":
            return self._tile_options.read(self.emulator.ram)
        if self._observes == "ram":
            return np.array(self.emulator.ram)
        return self.emulator.observe(self.picture)

    def _count_level(self, *, died: bool) -> None:
        """In the full game: a new stage, or a new life, begins the level's count of frames anew."""
        ram = self._game.ram
        stage = ram[m.WORLD] + 1, ram[m.STAGE] + 1
        if stage != self._record.stage:
            self._record = self._record.entering(stage)
            self._game.frames = 0
        elif died:
            self._game.frames = 0

    def _show(self) -> None:
        if self.on_frame is not None:
            self.on_frame(self.emulator.screen())
        if self.render_mode == "human":
            if self._window is None:
                self._window = Window("Super Mario Bros", fps=self.metadata["render_fps"])
            if not self._window.show(self.emulator.screen()):
                raise WindowClosed("The game's window was closed; the episode ends here.")
