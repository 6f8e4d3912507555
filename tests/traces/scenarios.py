"""What the recorders play. Pure Python: no game and no NumPy, so it is the same everywhere.

A scenario plays its episodes one after the other, beginning again with the first, until it has
used up its frames. An episode ends when the game says so, when its buttons run out, or at its
limit: so there are resets after a death, after a clear and in the middle of things.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

from format import parse_runs

RUNS = Path(__file__).parent / "runs"

A, B, SELECT, START, UP, DOWN, LEFT, RIGHT = (1 << bit for bit in range(8))

Mix = tuple[tuple[int, int, int, int], ...]
"""Rows of (weight, joypad byte, fewest frames held, most frames held)."""

RIGHT_BIASED: Mix = (
    (6, RIGHT | B | A, 4, 36),
    (5, RIGHT | B, 4, 30),
    (3, RIGHT | A, 4, 30),
    (3, RIGHT, 4, 24),
    (2, 0, 1, 16),
    (2, LEFT, 2, 20),
    (1, LEFT | B | A, 2, 24),
    (1, A, 2, 30),
    (1, DOWN, 2, 30),
    (1, UP | RIGHT, 1, 12),
)
SWIMMING: Mix = (
    (8, RIGHT | A, 2, 6),
    (8, RIGHT, 3, 18),
    (3, RIGHT | B, 2, 8),
    (2, 0, 2, 12),
    (2, A, 2, 5),
    (2, LEFT, 2, 16),
    (1, DOWN, 2, 10),
)
JUMPY: Mix = (
    (6, A, 8, 34),
    (5, RIGHT | A, 8, 34),
    (5, LEFT | A, 4, 30),
    (5, RIGHT, 2, 20),
    (3, LEFT, 2, 20),
    (3, 0, 1, 12),
)
"""Stays about where it is, and jumps."""


def play(seed: int, mix: Mix) -> Iterator[int]:
    """Random buttons for ever. ``random.Random(seed).random()`` is the same in every Python."""
    draw = random.Random(seed).random
    total = sum(row[0] for row in mix)
    while True:
        _, byte, fewest, most = _row_at(mix, draw() * total)
        yield from repeat(byte, fewest + int(draw() * (most - fewest + 1)))


def _row_at(mix: Mix, at: float) -> tuple[int, int, int, int]:
    for row in mix:
        at -= row[0]
        if at < 0:
            return row
    return mix[-1]


def any_bytes(seed: int) -> Iterator[int]:
    """All 256 joypad bytes, each held a little: pause, select, left and right at once, ..."""
    draw = random.Random(seed).random
    while True:
        yield from repeat(int(draw() * 256), 1 + int(draw() * 12))


def run(name: str, cut: int | None = None) -> list[int]:
    """A stored run, or its first ``cut`` frames."""
    return parse_runs((RUNS / f"{name}.txt").read_text())[:cut]


@dataclass(frozen=True)
class Episode:
    """Buttons for one episode; ``limit`` resets in the middle after so many frames."""

    buttons: Callable[[], Iterable[int]]
    limit: int | None = None


@dataclass(frozen=True)
class Scenario:
    """One trace file. ``level`` is "full" or like "1-1"; ``game`` is "smb" or "lost_levels"."""

    name: str
    level: str
    frames: int
    episodes: tuple[Episode, ...]
    game: str = "smb"
    rom_variant: str = "vanilla"


def random_play(
    seed: int, mix: Mix = RIGHT_BIASED, episodes: int = 40, limit: int | None = None
) -> tuple[Episode, ...]:
    """Many episodes of random buttons, each with its own seed."""

    def one(index: int) -> Episode:
        return Episode(lambda: play(seed * 1000 + index, mix), limit)

    return tuple(one(index) for index in range(episodes))


def recorded(name: str, cut: int | None = None, then: Iterable[int] = ()) -> Episode:
    """A stored run, or the beginning of one, and then something else."""
    return Episode(lambda: chain(run(name, cut), then))


WAIT = 0
FOREVER_RIGHT = tuple([RIGHT] * 400)

SCENARIOS = (
    Scenario("smb-1-1-random", "1-1", 5000, random_play(1)),
    Scenario(
        "smb-1-1-power-ups",
        "1-1",
        3400,
        (
            Episode(lambda: chain(run("1-1-fire-flower"), play(101, RIGHT_BIASED)), 1900),
            Episode(lambda: chain(run("1-1-fire-flower", 600), play(18, JUMPY)), 1500),
        ),
    ),
    Scenario(
        "smb-1-1-any-bytes",
        "1-1",
        2500,
        tuple(Episode(lambda seed=seed: any_bytes(seed), 625) for seed in range(4)),
    ),
    Scenario(
        "smb-1-1-flag",
        "1-1",
        2610,
        (recorded("1-1-flag"), *random_play(3, episodes=1, limit=300), recorded("1-1-flag")),
    ),
    Scenario(  # two pits and a Goomba
        "smb-1-1-pit",
        "1-1",
        1600,
        tuple(recorded("1-1-flag", cut, FOREVER_RIGHT) for cut in (330, 420, 480)),
    ),
    Scenario(
        "smb-1-1-pipe",
        "1-1",
        2200,
        (
            Episode(lambda: chain(run("1-1-bonus-pipe"), play(4, RIGHT_BIASED)), 1400),
            recorded("1-1-bonus-pipe"),
        ),
    ),
    Scenario("smb-1-2-random", "1-2", 2000, random_play(5)),
    Scenario(
        "smb-1-4-axe", "1-4", 2200, (recorded("1-4-axe"), *random_play(6, episodes=8, limit=400))
    ),
    Scenario("smb-1-4-idle", "1-4", 7300, (Episode(lambda: repeat(WAIT)),)),
    Scenario("smb-2-2-random", "2-2", 2000, random_play(7, SWIMMING)),
    Scenario("smb-4-2-random", "4-2", 2500, random_play(8)),
    Scenario("smb-4-4-random", "4-4", 1500, random_play(9)),
    Scenario("smb-8-4-random", "8-4", 2500, random_play(10)),
    Scenario("smb-full-random", "full", 5500, random_play(11)),
    Scenario(  # the first life is lost to the clock, the others to the enemies
        "smb-full-idle",
        "full",
        10300,
        (Episode(lambda: chain(repeat(WAIT, 9700), play(12, RIGHT_BIASED))),),
    ),
    Scenario(
        "smb-full-story",
        "full",
        5600,
        (Episode(lambda: chain(run("full-1-1-to-2-1"), play(13, RIGHT_BIASED))),),
    ),
    Scenario("lost-levels-1-1-random", "1-1", 3500, random_play(14), game="lost_levels"),
    Scenario("lost-levels-full-random", "full", 2000, random_play(15), game="lost_levels"),
    *(
        Scenario(f"smb-1-1-{variant}", "1-1", 300, random_play(16), rom_variant=variant)
        for variant in ("vanilla", "downsample", "pixel", "rectangle")
    ),
    Scenario(
        "lost-levels-1-1-downsample", "1-1", 300, random_play(17), "lost_levels", "downsample"
    ),
)
