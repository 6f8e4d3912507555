"""Record the reward of gym-super-mario-bros 9.x, to check our ``reward="v9"`` against.

It needs Python 3.13, for which pip takes these versions::

    python3.13 -m venv recorder9
    recorder9/bin/pip install "gym-super-mario-bros>=9,<10"
    recorder9/bin/python tests/traces/record_v9.py

The emulator of nes-py 9 has another timing than that of 8, so the runs of ``record.py`` go
elsewhere here and nothing is replayed. A trace holds, for every frame, the reward, its unclipped
parts, and the few bytes of RAM that the game's state is read from, at the moment at which 9.x
computed the reward from them (``ram_0086`` is the byte at 0x0086); the same bytes after resets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, cycle
from pathlib import Path
from typing import Any

from format import write_trace
from scenarios import (
    FOREVER_RIGHT,
    RIGHT_BIASED,
    Episode,
    Scenario,
    play,
    random_play,
    recorded,
    run,
)
from versions import require

DATA = Path(__file__).parent / "data"
NEEDED = {"gym-super-mario-bros": "9.", "nes-py": "9."}
PARTS = ("progress", "time", "score", "coins", "powerup", "completion", "death")
ADDRESSES = (
    *(0x000E, 0x0016, 0x0017, 0x0018, 0x0019, 0x001A, 0x001D, 0x006D, 0x0086, 0x00B5, 0x00E7),
    *(0x00E8, 0x03B8, 0x0756, 0x075A, 0x075C, 0x075F, 0x0760, 0x0770),
    *range(0x07DE, 0x07E4),  # score
    *range(0x07ED, 0x07EF),  # coins
    *range(0x07F8, 0x07FB),  # time
)


def stored(name: str, seed: int, limit: int) -> Episode:
    """A run of 7.4, whatever becomes of it here, and random play after it."""
    return Episode(lambda: chain(run(name), play(seed, RIGHT_BIASED)), limit)


SCENARIOS = (
    Scenario(
        "v9-1-1",
        "1-1",
        6000,
        (
            stored("1-1-flag", 1, 2000),
            stored("1-1-fire-flower", 101, 1800),  # and loses it to an enemy
            stored("1-1-bonus-pipe", 3, 1200),
            recorded("1-1-flag", 330, FOREVER_RIGHT),  # a pit
            *random_play(5, episodes=8, limit=900),
        ),
    ),
    Scenario("v9-full", "full", 4800, (stored("full-1-1-to-2-1", 6, 4800),)),
    Scenario("v9-1-4", "1-4", 1500, (stored("1-4-axe", 7, 1200),)),
)


def make_env(level: str) -> Any:
    """The real environment, keeping the RAM bytes that its reward is computed from."""
    from gym_super_mario_bros.smb_env import SuperMarioBrosEnv

    class Watched(SuperMarioBrosEnv):  # type: ignore[misc,unused-ignore]
        def seen(self) -> dict[str, int]:
            return {f"ram_{address:04x}": int(self.ram[address]) for address in ADDRESSES}

        def _get_reward(self) -> Any:
            self.seen_at_reward = self.seen()
            return super()._get_reward()

    target = None if level == "full" else tuple(int(part) for part in level.split("-"))
    return Watched(target=target)


def rows(env: Any, scenario: Scenario) -> Iterator[tuple[str, dict[str, Any]]]:
    """("reset_" or "", row of a frame), until the frames are used up."""
    frames = 0
    for episode in cycle(scenario.episodes):
        env.reset()
        yield "reset_", {"frame": frames, **env.seen()}
        for count, buttons in enumerate(episode.buttons(), 1):
            _, reward, terminated, _, info = env.step(buttons)
            frames += 1
            parts = {f"part_{name}": float(info["reward_components"][name]) for name in PARTS}
            yield "", {"buttons": buttons, "reward": float(reward), **parts, **env.seen_at_reward}
            if frames == scenario.frames:
                return
            if terminated or count == episode.limit:
                break


def main() -> None:
    """Record all scenarios."""
    versions = require(NEEDED, __file__)
    DATA.mkdir(exist_ok=True)
    for scenario in SCENARIOS:
        env = make_env(scenario.level)
        columns: dict[str, list[Any]] = defaultdict(list)
        for prefix, row in rows(env, scenario):
            for key, value in row.items():
                columns[prefix + key].append(value)
        env.close()
        header = {
            "kind": "gym-super-mario-bros 9 reward",
            "name": scenario.name,
            "game": scenario.game,
            "level": scenario.level,
            "frames": scenario.frames,
            "parts": PARTS,
            "versions": versions,
            "summary": {
                f"frames_with_{name}": sum(value != 0 for value in columns[f"part_{name}"])
                for name in PARTS
            },
        }
        path = DATA / f"{scenario.name}.trace"
        write_trace(path, header, columns)
        size = path.stat().st_size
        print(f"{path.name}: {size} bytes, {scenario.frames} frames, {header['summary']}")


if __name__ == "__main__":
    main()
