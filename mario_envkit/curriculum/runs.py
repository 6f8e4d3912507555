"""Recorded games that reach the flag: one joypad byte a frame, as a small file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from mario_envkit.arguments import (
    as_choice,
    as_file,
    as_int,
    as_path,
    as_sequence,
    as_text,
    check_keywords,
    not_possible,
    plain,
)
from mario_envkit.emulator.backends import TIMINGS
from mario_envkit.env import MarioEnv
from mario_envkit.errors import LevelError, ReplayError
from mario_envkit.files import parse_json, replace_text
from mario_envkit.game.endings import is_success
from mario_envkit.game.levels import WORLDS, Level, parse_level

FORMAT = 1
MAX_FRAMES = 1_000_000
"""The clock of a stage allows 10,000; a file that says more than this is not a run."""
_MAX_BYTES = 16 * MAX_FRAMES


@dataclass(frozen=True)
class Run:
    """A game of a single level, from power-on to the flag.

    Attributes:
        level: the stage.
        actions: the joypad byte of every step of :class:`~mario_envkit.env.MarioEnv` after its
            reset; frames that the environment skips by itself are not among them.
        timing: where a frame ends, "console" or "nes-py"; the run goes as recorded only there.
        core: the console on which it was found, like "native/console".
        rom_sha256: of the cartridge image.
        game: "smb" or "lost_levels".

    Raises:
        OptionError: for values that make no sense.
        LevelError: for a level that the game does not have.
    """

    level: Level
    actions: bytes
    timing: str
    core: str
    rom_sha256: str
    game: str = "smb"

    def __post_init__(self) -> None:
        digest = as_text("rom_sha256", self.rom_sha256)
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise not_possible("rom_sha256", digest, "64 hexadecimal digits")
        values = {
            "level": parse_level(self.level, self.game),
            "actions": _joypad_bytes(self.actions),
            "timing": as_choice("timing", self.timing, TIMINGS["native"]),
            "core": as_text("core", self.core),
            "rom_sha256": digest,
            "game": as_choice("game", self.game, WORLDS),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def frames(self) -> int:
        """How many steps it has."""
        return len(self.actions)

    # -- files -------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The file's text; the actions are ``[joypad byte, frames]`` pairs."""
        held = [[byte, sum(1 for _ in same)] for byte, same in groupby(self.actions)]
        document = {
            "format": FORMAT,
            "game": self.game,
            "level": str(self.level),
            "timing": self.timing,
            "core": self.core,
            "rom_sha256": self.rom_sha256,
            "frames": self.frames,
            "actions": held,
        }
        return json.dumps(document, separators=(",", ":")) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, all of it or nothing.

        Raises:
            ReplayError: if it cannot be written.
        """
        try:
            replace_text(as_file("path", path), self.to_json())
        except OSError as error:
            raise ReplayError(f"The run cannot be saved as {path}: {error.strerror}.") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Run:
        """Read a file, from whoever it may come.

        Raises:
            ReplayError: if it cannot be read or is not a run; the message says why.
        """
        path = as_path("path", path)
        try:
            with open(path, "rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise ReplayError(f"The run {path} cannot be read: {error.strerror}.") from error
        try:
            return cls.from_json(data)
        except ReplayError as error:
            raise ReplayError(f"{path} is not a run: {error}") from None

    @classmethod
    def from_json(cls, data: bytes | str) -> Run:
        """Read what :meth:`to_json` wrote.

        Raises:
            ReplayError: for anything else.
        """
        if not isinstance(data, (bytes, str)):
            raise not_possible("data", data, "the text of a file that 'solve' wrote")
        if len(data) > _MAX_BYTES:
            raise ReplayError(f"it is larger than {_MAX_BYTES} bytes; give a file of solve.")
        try:
            document = parse_json(data)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ReplayError("it holds no JSON object; give a file that 'solve' wrote.")
        if document.get("format") != FORMAT or isinstance(document["format"], bool):
            raise ReplayError(
                f"its format is {_short(document.get('format'))}, and this version reads {FORMAT}."
            )
        game = _text(document, "game", "|".join(WORLDS))
        try:
            level = parse_level(_text(document, "level", r"\d-\d"), game)
        except LevelError as error:
            raise ReplayError(str(error)) from None
        actions = _expand(document.get("actions"))
        frames = document.get("frames")
        if not _is_int(frames, 1, MAX_FRAMES) or frames != len(actions):
            raise ReplayError(
                f"it says {_short(frames)} frames and has actions for {len(actions)}; a part is "
                "missing or was changed."
            )
        return cls(
            level=level,
            actions=actions,
            timing=_text(document, "timing", "|".join(TIMINGS["native"])),
            core=_text(document, "core", r"[\w./-]{1,64}"),
            rom_sha256=_text(document, "rom_sha256", "[0-9a-f]{64}"),
            game=game,
        )

    # -- playing it --------------------------------------------------------------------------

    def make_env(self, **env_kwargs: Any) -> MarioEnv:
        """A new environment for this run; further keyword arguments go to it (``backend=``).

        Raises:
            ReplayError: if its cartridge is not the one of the run.
        """
        check_keywords(env_kwargs, MarioEnv, but=("game", "level", "timing"))
        env = MarioEnv(game=self.game, level=self.level, timing=self.timing, **env_kwargs)
        if env.emulator.rom_sha256 != self.rom_sha256:
            env.close()
            raise ReplayError(
                f"The run was made with the cartridge {self.rom_sha256[:12]}..., and this one is "
                f"{env.emulator.rom_sha256[:12]}...; give the right one with rom= (--rom)."
            )
        return env

    def play(self, env: MarioEnv) -> Iterator[dict[str, Any]]:
        """Reset ``env`` and play the run in it; yields the info of every step.

        Raises:
            ReplayError: if the episode ends before the run does, or the run before the flag.
        """
        env.reset(options={"level": self.level})
        info: dict[str, Any] = {}
        for step, byte in enumerate(self.actions, start=1):
            _, _, terminated, _, info = env.step(byte)
            yield info
            if terminated and step < self.frames:
                raise ReplayError(
                    f"The run of {self.level} does not go as recorded: the episode ended after "
                    f"step {step} of {self.frames}; it belongs to another timing or version."
                )
        if not is_success(info.get("ending")):
            raise ReplayError(
                f"The run of {self.level} does not reach the flag of that level; it belongs to "
                "another timing or version."
            )

    def verify(self, **env_kwargs: Any) -> None:
        """Play the run from a real power-on of a new environment.

        Args:
            env_kwargs: of the environment: ``backend="nes-py"`` checks a run of that timing
                against nes-py itself (8.x).

        Raises:
            ReplayError: if it does not reach the flag with its last step.
        """
        env = self.make_env(**env_kwargs)
        try:
            env.draw = False
            for _ in self.play(env):
                pass
        finally:
            env.close()


def run_path(
    folder: str | os.PathLike[str],
    level: Level,
    *,
    game: str = "smb",
    timing: str = "console",
    number: int = 1,
) -> Path:
    """The file of a level's run in a folder of ``mario-envkit solve``; of several the one with that
    ``number``, from 1."""
    stage = parse_level(level, game)
    timing = as_choice("timing", timing, TIMINGS["native"])
    number = as_int("number", number, least=1)
    suffix = "" if number == 1 else f"-{number}"
    return as_path("folder", folder) / f"{game}-{stage}-{timing}{suffix}.json"


def run_files(
    folder: str | os.PathLike[str],
    levels: Sequence[Level],
    *,
    game: str = "smb",
    timing: str = "console",
) -> list[Path]:
    """The files of all runs of some levels in a folder of ``mario-envkit solve``, by level and
    number; a level may have none, but not all of them.

    Raises:
        ReplayError: if there are none.
    """
    folder, found = as_path("folder", folder), list[Path]()
    for level in levels:
        first = run_path(folder, level, game=game, timing=timing)
        numbers = (
            int(match[1])
            for file in folder.glob(f"{first.stem}-*.json")
            if (match := re.fullmatch(rf"{re.escape(first.stem)}-([1-9]\d{{0,5}})", file.stem))
        )
        found += [first] if first.exists() else []
        found += [first.with_stem(f"{first.stem}-{number}") for number in sorted(numbers)]
    if not found:
        first = run_path(folder, levels[0], game=game, timing=timing)
        raise ReplayError(
            f"There is no run of the levels that are played in {folder}, such as {first.name}; "
            f"make one with: mario-envkit solve --level {levels[0]} --out FOLDER"
        )
    return found


def load_run(run: Run | str | os.PathLike[str]) -> Run:
    """A run, which may be given by its file.

    Raises:
        ReplayError: if it cannot be read or is not a run.
    """
    return run if isinstance(run, Run) else Run.load(run)


def _joypad_bytes(actions: Any) -> bytes:
    """The argument ``actions`` of a run; lists of joypad bytes are taken as well."""
    held = plain(actions)
    if not isinstance(held, (bytes, bytearray)):
        held = as_sequence("actions", held, "joypad bytes")
        held = bytes(as_int(f"actions[{i}]", byte, most=255) for i, byte in enumerate(held))
    return bytes(held)


def _expand(held: Any) -> bytes:
    """The joypad bytes of run-length encoded actions."""
    if not isinstance(held, list) or not held:
        raise ReplayError("it has no list of actions.")
    actions = bytearray()
    for pair in held:
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and _is_int(pair[0], 0, 255)
            and _is_int(pair[1], 1, MAX_FRAMES - len(actions))
        ):
            raise ReplayError(
                f"{_short(pair)} among its actions is not a joypad byte (0 to 255) and a number of "
                f"frames (1 or more, {MAX_FRAMES} in all)."
            )
        actions += bytes([pair[0]]) * pair[1]
    return bytes(actions)


def _text(document: dict[str, Any], key: str, pattern: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
        raise ReplayError(f"its {key!r} is {_short(value)}, which this version does not know.")
    return value


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _short(value: Any) -> str:
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # an absurd number, or nested too deeply
        text = type(value).__name__
    return text if len(text) <= 40 else text[:37] + "..."
