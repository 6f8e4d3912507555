"""Record what gym-super-mario-bros 7.4 really does: the ground truth for MarioEnv.

It needs an environment of its own, because that package needs NumPy 1 and Python < 3.13::

    python3.11 -m venv recorder
    recorder/bin/pip install "numpy<2" gym-super-mario-bros==7.4.0
    recorder/bin/python tests/traces/record.py            # all scenarios
    recorder/bin/python tests/traces/record.py --only smb-1-1-flag --only smb-1-1-pit

Every trace holds exactly what a caller sees, frame by frame: the joypad byte, reward, done and
every info key; CRC-32 of all 2,048 bytes of ``env.ram`` after the step; CRC-32 of the screen
(240 x 256 x 3 RGB bytes) after the step, one checksum chained over ``SCREEN_GROUP`` frames at a
time. Info is what 7.4 returns: read before it skips the busy states; RAM and screen come after.
The same for every reset, where the info is read with 7.4's own method (its reset returns none).
Nothing of the game itself is in a trace.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from format import SCREEN_GROUP, encode_info, write_trace
from scenarios import SCENARIOS, Scenario
from versions import require

DATA = Path(__file__).parent / "data"
NEEDED = {"gym-super-mario-bros": "7.4.0", "nes-py": "8.2.1", "numpy": "1."}
AREA_TYPE = 0x074E  # 0 water, 1 ground, 2 underground, 3 castle
DEATH_REWARD = -15


def make_env(scenario: Scenario) -> Any:
    """The real environment, straight from its class: nothing of gym wraps it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from gym_super_mario_bros.smb_env import SuperMarioBrosEnv
    target = None
    if scenario.level != "full":
        world, stage = scenario.level.split("-")
        target = (int(world), int(stage))
    return SuperMarioBrosEnv(scenario.rom_variant, scenario.game == "lost_levels", target)


class Recording:
    """Plays one scenario and keeps the columns."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.env = make_env(scenario)
        self.columns: dict[str, list[int]] = defaultdict(list)
        self.frames = 0
        self.area_changes = 0
        self._screen_crc = 0

    def play(self) -> None:
        """All episodes, again and again, until the frames are used up."""
        for episode in cycle(self.scenario.episodes):
            self._reset()
            for count, buttons in enumerate(episode.buttons(), 1):
                done = self._step(buttons)
                if self.frames == self.scenario.frames:
                    if self.frames % SCREEN_GROUP:
                        self.columns["screen_crc32"].append(self._screen_crc)
                    return
                if done or count == episode.limit:
                    break

    def _reset(self) -> None:
        screen = self.env.reset()
        columns = self.columns
        columns["reset_frame"].append(self.frames)
        columns["reset_ram_crc32"].append(zlib.crc32(self.env.ram))
        columns["reset_screen_crc32"].append(zlib.crc32(screen.tobytes()))
        for key, value in encode_info(self.env._get_info(), "reset_").items():
            columns[key].append(value)

    def _step(self, buttons: int) -> bool:
        area_type = int(self.env.ram[AREA_TYPE])
        screen, reward, done, info = self.env.step(buttons)
        self.area_changes += area_type != int(self.env.ram[AREA_TYPE])
        if reward != int(reward):
            raise ValueError(f"the reward {reward} is not a whole number: store it as a float")
        row = {"buttons": buttons, "reward": int(reward), "done": int(done), **encode_info(info)}
        for key, value in row.items():
            self.columns[key].append(value)
        self.columns["ram_crc32"].append(zlib.crc32(self.env.ram))
        self._screen_crc = zlib.crc32(screen.tobytes(), self._screen_crc)
        self.frames += 1
        if self.frames % SCREEN_GROUP == 0:
            self.columns["screen_crc32"].append(self._screen_crc)
            self._screen_crc = 0
        return bool(done)

    def header(self, versions: dict[str, str]) -> dict[str, Any]:
        """What was played, on what, and what happened."""
        scenario, columns = self.scenario, self.columns
        rom = Path(self.env._rom_path).read_bytes()
        return {
            "kind": "gym-super-mario-bros 7.4",
            "name": scenario.name,
            "game": scenario.game,
            "level": scenario.level,
            "rom_variant": scenario.rom_variant,
            "rom_sha256": hashlib.sha256(rom).hexdigest(),
            "frames": self.frames,
            "screen_group": SCREEN_GROUP,
            "versions": versions,
            "summary": {
                "episodes": len(columns["reset_frame"]),
                "dones": sum(columns["done"]),
                "deaths": rises(value <= DEATH_REWARD for value in columns["reward"]),
                "flags": rises(columns["flag_get"]),
                "game_overs": sum(columns["done"]) if scenario.level == "full" else 0,
                "area_changes": self.area_changes,
                "best_x": max(columns["x_pos"]),
                "levels": len(set(zip(columns["world"], columns["stage"]))),  # noqa: B905
                "frames_powered_up": sum(value > 0 for value in columns["status"]),
            },
        }


def rises(values: Any) -> int:
    """How often a condition begins to hold."""
    return sum(now and not before for before, now in pairs(values))


def pairs(values: Any) -> Iterator[tuple[bool, bool]]:
    """Every value with the one before it (False before the first)."""
    before = False
    for value in values:
        yield before, bool(value)
        before = bool(value)


def main() -> None:
    """Record the scenarios asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, help="may be given repeatedly")
    only = parser.parse_args().only or names
    versions = require(NEEDED, __file__)
    DATA.mkdir(exist_ok=True)
    for scenario in SCENARIOS:
        if scenario.name not in only:
            continue
        recording = Recording(scenario)
        recording.play()
        header = recording.header(versions)
        path = DATA / f"{scenario.name}.trace"
        write_trace(path, header, recording.columns)
        recording.env.close()
        size = path.stat().st_size
        print(f"{path.name}: {size} bytes, {header['frames']} frames, {header['summary']}")


if __name__ == "__main__":
    main()
