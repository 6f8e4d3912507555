"""Maps of levels with deaths, snapshots and trajectories."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

import cv2

from mario_agents.report.rundata import RunData
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import LevelError, MarioEnvkitError
from mario_envkit.game.levels import WORLDS, parse_level
from mario_envkit.maps import STATUS_BAR, LevelMap, draw_level

BARS = 48
"""Rows below the picture, for bars of deaths."""
NUMBERS = 12
"""Bars that have a number, and rows of the table."""
_MIDDLE_X, _MIDDLE_Y = 8, 24
"""From Mario's place to the middle of small Mario, in pixels."""
_JUMP = 128
"""Pixels: farther than any step; Mario went through a pipe or a maze took him back."""


@dataclass(frozen=True)
class DeathBucket:
    """Deaths at ``x`` to ``x + width`` pixels; ``share`` of the deadliest bucket's."""

    x: int
    width: int
    deaths: int
    share: float


@dataclass(frozen=True)
class Mark:
    """A snapshot on the map, in pixels of the picture."""

    x: int
    y: int
    title: str


@dataclass(frozen=True)
class Trajectory:
    """Where Mario was in an episode: SVG points of its stretches, in the colour of its run."""

    run: str
    color: int
    strokes: tuple[str, ...]
    title: str


@dataclass
class LevelScene:
    """A level for the page.

    Attributes:
        game, level: "smb", "1-1".
        width, height: of the picture in pixels; without a picture as wide as what there is.
        picture: PNG as a data URL; empty if the level could not be drawn.
        problem: why not.
        buckets: deaths, the deadliest first.
        total: all deaths.
        elsewhere: those of them that were in other areas of the level, which are not drawn.
        marks, trajectories: snapshots, and where Mario was in the best recorded episodes.
    """

    game: str
    level: str
    width: int
    height: int = 240 - STATUS_BAR
    picture: str = ""
    problem: str = ""
    buckets: list[DeathBucket] = field(default_factory=list)
    total: int = 0
    elsewhere: int = 0
    marks: list[Mark] = field(default_factory=list)
    trajectories: list[Trajectory] = field(default_factory=list)

    @property
    def description(self) -> str:
        """The map in words."""
        deadliest = ", ".join(f"{b.deaths} at x {b.x}" for b in self.buckets[:5])
        words = [
            f"Level {self.level}, {self.width} pixels long.",
            f"{self.total} deaths; the deadliest places: {deadliest}."
            if self.total
            else "No deaths.",
        ]
        if self.elsewhere:
            words.append(f"{self.elsewhere} in other areas of the level are not drawn.")
        if self.marks:
            words.append(f"{len(self.marks)} snapshots.")
        words += [f"{trajectory.title}." for trajectory in self.trajectories]
        return " ".join(words)


def scenes(runs: Sequence[RunData]) -> list[LevelScene]:
    """A scene for every level in which something is known to have happened."""
    found = []
    for game in sorted({run.game for run in runs} & set(WORLDS)):
        players = [(color, run) for color, run in enumerate(runs) if run.game == game]
        for level in sorted(set().union(*(run.levels for _, run in players))):
            with suppress(LevelError):  # of an environment of somebody's own: not to be drawn
                parse_level(level, game)
                found.append(_scene(game, level, players))
    return found


def _scene(game: str, level: str, players: Sequence[tuple[int, RunData]]) -> LevelScene:
    runs = [run for _, run in players]
    deaths = DeathHotspotAggregate()
    deaths.merge(*(run.hotspots for run in runs if run.hotspots is not None))
    level_map, problem = _draw(game, level, runs)
    area = level_map.area if level_map else _first_area(level, runs)
    buckets = deaths.in_area(level, area) if area else deaths.get_hotspots(level, min_deaths=1)
    spots = [(color, run, s) for color, run in players for s in run.snapshots if s.level == level]
    if level_map is not None:
        width = level_map.picture.shape[1]
    else:
        width = max([x for x, _ in buckets] + [spot.x for *_, spot in spots], default=0) + 256
    scene = LevelScene(game, level, width, problem=problem, total=deaths.deaths(level))
    if level_map is not None:
        _, png = cv2.imencode(".png", cv2.cvtColor(level_map.picture, cv2.COLOR_RGB2BGR))
        scene.picture = "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
    most = buckets[0][1] if buckets else 1
    scene.elsewhere = scene.total - sum(n for _, n in buckets)
    scene.buckets = [DeathBucket(x, deaths.bucket_size, n, n / most) for x, n in buckets]
    for _, run, spot in spots:
        if spot.area == area:
            tries = f"{spot.successes} of {spot.attempts} attempts from here succeeded"
            title = f"{run.name}: snapshot at x {spot.x}, {tries}"
            scene.marks.append(Mark(spot.x + _MIDDLE_X, _row(spot.y), title))
    trajectories = (_trajectory(level, area, run, color) for color, run in players)
    scene.trajectories = [trajectory for trajectory in trajectories if trajectory is not None]
    return scene


def _draw(game: str, level: str, runs: Sequence[RunData]) -> tuple[LevelMap | None, str]:
    roms = [(rom, run) for run in runs if isinstance(rom := run.options.get("rom"), str)]
    rom, run = roms[0] if roms else (None, runs[0])
    allowed = run.options.get("rom_unknown") == "allow"
    try:
        return draw_level(
            level, game=game, rom=rom, rom_unknown="allow" if allowed else "refuse"
        ), ""
    except MarioEnvkitError as error:
        return None, str(error)


def _first_area(level: str, runs: Sequence[RunData]) -> int:
    """The area in which videos of the level begin; without a picture this is all that is known."""
    for run in runs:
        for _, record in run.videos:
            if record.path and record.path[0].level == level:
                return record.path[0].area
    return next((s.area for run in runs for s in run.snapshots if s.level == level), 0)


def _trajectory(level: str, area: int, run: RunData, color: int) -> Trajectory | None:
    """That of the best recorded episode of this level."""
    found = [record for _, record in run.videos if any(s.level == level for s in record.path)]
    if not found:
        return None
    best = max(found, key=lambda record: (record.episode.merit, record.step))
    strokes = []
    for segment in best.path:
        if segment.level == level and segment.area == area:
            strokes += _strokes(segment.points)
    if not strokes:
        return None
    end = "to the flag" if best.episode.success else f"until x {best.episode.best_x}"
    title = f"Best recorded trajectory of {run.name}, at step {best.step:,}: {end}"
    return Trajectory(run.name, color, tuple(strokes), title)


def _strokes(points: Sequence[tuple[int, int]]) -> list[str]:
    """SVG points, in stretches without a jump from one place to another."""
    jumps = 0
    numbered = []
    for i, (x, y) in enumerate(points):
        jumps += i > 0 and abs(x - points[i - 1][0]) > _JUMP
        numbered.append((jumps, f"{x + _MIDDLE_X},{_row(y)}"))
    return [
        " ".join(text for _, text in stretch)
        for _, stretch in groupby(numbered, key=lambda item: item[0])
    ]


def _row(y_pos: int) -> int:
    """Row of the picture: y counts from the bottom of the screen."""
    return 255 - y_pos - STATUS_BAR + _MIDDLE_Y
