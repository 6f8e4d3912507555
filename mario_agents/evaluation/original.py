"""Play in the original package, gym-super-mario-bros, whatever Python it needs.

7.4 works on NumPy 1 only and 9.x needs Python 3.13, so the game runs in a child process with the
interpreter that has it (``original_child.py``). What a policy sees is made here of the RAM and the
pictures that the child sends, by the same code as everywhere.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from mario_envkit.emulator.picture import Picture, render
from mario_envkit.env import MarioEnv
from mario_envkit.errors import BackendUnavailable, LevelError, OptionError, RunError
from mario_envkit.files import parse_json
from mario_envkit.game import tiles
from mario_envkit.game.endings import EpisodeRecord, death_cause, ending_of
from mario_envkit.game.levels import WORLDS, parse_level
from mario_envkit.game.state import read_state
from mario_envkit.registration import TRAIN_DEFAULTS, add_wrappers, make_picture
from mario_envkit.step_lock import StepLock
from mario_envkit.vector.cores import available_cores

_CHILD = Path(__file__).with_name("original_child.py")
_RAM, _SCREEN = 2048, (240, 256, 3)


class OriginalGame:
    """The package's own environment, in a child process.

    Args:
        python: the interpreter that has it.
        game: "smb" or "lost_levels".
        level: a stage such as "1-1", or "full".
        pictures: whether to send them.

    Attributes:
        version: of the package.

    Raises:
        BackendUnavailable: if the package is not there or does not work there.
    """

    def __init__(self, python: Path, game: str, level: str, *, pictures: bool) -> None:
        self._pictures = pictures
        command = [str(python), str(_CHILD), game, level, "pictures" if pictures else "ram"]
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise BackendUnavailable(f"Cannot start {python}: {error.strerror}.") from error
        first = self._text()
        if "error" in first:
            self.close()
            raise BackendUnavailable(
                f"gym-super-mario-bros does not work in {python} ({first['error']}); make an "
                "environment for it (python3.11 -m venv original; original/bin/pip install "
                "'numpy<2' gym-super-mario-bros==7.4.0) and give --python original/bin/python."
            )
        self.version = str(first["version"])

    def ask(
        self, request: bytes
    ) -> tuple[dict[str, Any], NDArray[np.uint8], NDArray[np.uint8] | None]:
        """Send a request of two bytes; returns the answer's text, RAM and picture.

        Raises:
            RunError: if the child has died.
        """
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(request)
            self._child.stdin.flush()
        except OSError as error:
            raise RunError("The process of the original game has died; run it again.") from error
        text = self._text()
        ram = np.frombuffer(self._read(_RAM), np.uint8)
        if not self._pictures:
            return text, ram, None
        screen = np.frombuffer(self._read(int(np.prod(_SCREEN))), np.uint8)
        return text, ram, screen.reshape(_SCREEN)

    def _text(self) -> dict[str, Any]:
        (length,) = struct.unpack("<I", self._read(4))
        try:
            text = parse_json(self._read(min(length, 1 << 16)))
        except ValueError as error:
            raise RunError(f"The process of the original game said nonsense: {error}.") from error
        assert isinstance(text, dict)
        return text

    def _read(self, count: int) -> bytes:
        assert self._child.stdout is not None
        data = self._child.stdout.read(count)
        if len(data) < count:
            raise RunError("The process of the original game has died; run it again.")
        return data

    def close(self) -> None:
        """End the child process. Closing twice is harmless."""
        if self._child.stdin is not None and not self._child.stdin.closed:
            self._child.stdin.close()
        try:
            self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


class OriginalEnv(gymnasium.Env[Any, Any]):
    """The original game with the interface of :class:`~mario_envkit.env.MarioEnv`.

    Rewards and ends of episodes are the package's own. A palette that needs to know layers is drawn
    by a native machine that plays along, and is compared with the original's RAM every frame; that
    works for 7.4, whose timing it has.

    Raises:
        BackendUnavailable: if the package does not work there, or cannot give the observation.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [], "render_fps": 60}  # type: ignore[misc]

    def __init__(
        self,
        python: Path,
        *,
        game: str,
        level: str,
        observation: str,
        picture: Picture,
        show_buttons: bool = False,
        show_level: bool = False,
    ) -> None:
        self._observes, self._picture = observation, picture
        self._show_buttons, self._show_level = show_buttons, show_level
        self._level = None if level == "full" else parse_level(level, game)
        self._last_world = WORLDS[game]
        self._twin: MarioEnv | None = None
        layered = observation == "pixels" and picture.palette != "luma"
        pictures = observation == "pixels" and not layered
        self._game = OriginalGame(python, game, level, pictures=pictures)
        if layered:
            self._follow(game, level)
        shapes = {"pixels": picture.shape, "tiles": tiles.SHAPE, "ram": (_RAM,)}
        self.observation_space = spaces.Box(0, 255, shapes[observation], np.uint8)
        self.action_space = spaces.Discrete(256)
        self.draw = True
        self.step_lock = StepLock()  # this and draw: what FrameSkip asks of a game

    def _follow(self, game: str, level: str) -> None:
        if not self._game.version.startswith("7."):
            self.close()
            raise BackendUnavailable(
                f"palette={self._picture.palette!r} cannot be drawn for gym-super-mario-bros "
                f"{self._game.version}: evaluate with 7.4, or a policy that sees tiles or luma."
            )
        self._twin = MarioEnv(game, level, picture=self._picture, backend="native", timing="nes-py")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self._record = EpisodeRecord((0, 0))
        seen = None if self._twin is None else self._twin.reset()[0]
        text, ram, screen = self._game.ask(b"r\x00")
        self._check_twin(ram)
        self._observation = self._observe(ram, screen) if seen is None else seen
        return self._observation, self._info(text, ram)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Hold the joypad byte ``action`` for one frame."""
        seen = None
        if self._twin is not None:
            self._twin.draw = self.draw
            seen = self._twin.step(action)[0]
        text, ram, screen = self._game.ask(bytes((ord("s"), int(action))))
        self._check_twin(ram)
        if seen is not None:
            self._observation = seen
        elif self.draw or text["done"]:
            self._observation = self._observe(ram, screen)
        return self._observation, text["reward"], text["done"], False, self._info(text, ram)

    def _check_twin(self, ram: NDArray[np.uint8]) -> None:
        if self._twin is not None and not np.array_equal(self._twin.emulator.ram, ram):
            raise RunError(
                "The original game and the native console went apart, so what the policy would see "
                "is not known; please report it with the version of nes-py."
            )

    def _observe(self, ram: NDArray[np.uint8], screen: NDArray[np.uint8] | None) -> Any:
        if self._observes == "tiles":
            return tiles.read_tiles(
                ram, show_buttons=self._show_buttons, show_level=self._show_level
            )
        return render(screen, self._picture) if screen is not None else np.array(ram)

    def _info(self, text: Mapping[str, Any], ram: NDArray[np.uint8]) -> dict[str, Any]:
        state = read_state(ram.tobytes())
        info = dict(text["info"])
        flag = bool(info["flag_get"])
        died = (text["done"] and not flag) or state.dying or state.dead
        # The RAM is that after whatever the package skipped.
        stage = int(info["world"]), int(info["stage"])
        state = state._replace(world=stage[0], stage=stage[1], flag_get=flag, dead=died)
        if stage != self._record.stage:
            self._record = self._record.entering(stage)
        if flag:
            self._record = self._record.at_flag()
        ending = ending_of(state, self._level, last_world=self._last_world, end_on_exit=False)
        return {
            **info,
            "flag_get": flag,
            "level": f"{info['world']}-{info['stage']}",
            "area": state.area,
            "stages_cleared": self._record.stages_cleared,
            "died": died,
            "life_lost": died,
            "death_cause": death_cause(state),
            "ending": ending if text["done"] else "",
            "snapshot_saved": False,
            "snapshot_restored": False,
            "reward_parts": {},
        }

    def close(self) -> None:
        """End the child process."""
        self._game.close()
        if self._twin is not None:
            self._twin.close()


_OURS = (
    "reward", "reward_weights", "timing", "backend", "rom", "rom_variant", "rom_unknown",
    "render_mode",
)  # fmt: skip
"""Keyword arguments of MarioTrain-v0 that the original decides by itself."""


def original_vectors(python: Path | None) -> dict[str, Any]:
    """Arguments of :func:`~mario_agents.evaluation.evaluate_levels` that play the original.

    Args:
        python: the interpreter that has gym-super-mario-bros; None is this one.
    """
    interpreter = Path(sys.executable) if python is None else python

    def make(env_kwargs: Mapping[str, Any], num_envs: int, **overrides: Any) -> SyncVectorEnv:
        kwargs = {**TRAIN_DEFAULTS, **env_kwargs, **overrides}
        return SyncVectorEnv(
            [lambda: _make_one(interpreter, kwargs)] * num_envs,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )

    return {"make": make, "max_envs": available_cores()}


def _make_one(python: Path, kwargs: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    rest = {name: value for name, value in kwargs.items() if name not in _OURS}
    env_id = str(rest.pop("id", "MarioTrain-v0"))
    if "MarioTrain" not in env_id:
        raise OptionError(
            f"The policy was made for {env_id}, and only those for MarioTrain-v0 can be played on "
            "gym-super-mario-bros."
        )
    level = str(rest.pop("level", "1-1"))
    if level != "full":
        try:
            parse_level(level, str(rest.get("game", "smb")))
        except LevelError:
            raise OptionError(
                f"level={level!r} is not a place of gym-super-mario-bros; name stages with "
                "--levels."
            ) from None
    picture = make_picture(
        rest.pop("screen_size", None), rest.pop("grayscale", False), rest.pop("crop_top", 0),
        rest.pop("palette", "luma"),
    )  # fmt: skip
    env = OriginalEnv(
        python, game=str(rest.pop("game", "smb")), level=level, picture=picture,
        observation=str(rest.pop("observation", "pixels")),
        show_buttons=bool(rest.pop("show_buttons", False)),
        show_level=bool(rest.pop("show_level", False)),
    )  # fmt: skip
    return add_wrappers(env, **rest)
