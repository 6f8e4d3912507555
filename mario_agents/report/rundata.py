"""Reads a run directory; what is missing or damaged is named and left out."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mario_agents.report.tables import (
    Curve,
    Table,
    combine,
    curve_of,
    read_table,
    weighted_mean,
)
from mario_agents.run.directory import CONFIG_NAME, RunDir, absent
from mario_agents.run.level_rates import LevelRate, read_level_rates
from mario_agents.run.records import (
    EvaluationRecord,
    PlayedEpisode,
    VideoRecord,
    read_evaluations,
    read_standard,
    read_videos,
)
from mario_agents.telemetry import TIME_SHARES, Across, RunMetrics, read_metrics
from mario_agents.telemetry.run_metrics import METRICS_NAME, ROW_COLUMNS
from mario_envkit.command_line import showable
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import ArchiveError, HotspotError, RunError
from mario_envkit.snapshots.archive import ArchiveWarning, SnapshotArchive
from mario_envkit.video import is_mp4

MOST_SNAPSHOTS = 1_000
_WORKER = re.compile(r"worker_\d+")
_SIGNS = (CONFIG_NAME, "coordinator.csv", "death_hotspots.json", "weights.safetensors")
"""Files by one of which a run is known, be it whole or damaged."""


@dataclass(frozen=True)
class SnapshotSpot:
    """Where a snapshot was taken, ``x`` and ``y`` in pixels as in the info, and how games that went
    on from there ended."""

    level: str
    area: int
    x: int
    y: int
    attempts: int
    successes: int


@dataclass(eq=False)
class RunData:
    """A run as its files tell it.

    Attributes:
        path, name: the directory, and what it is called in the report.
        trainer, version, options: of its ``config.json``; empty if that is missing.
        metrics: definitions of what it measures.
        workers: rows by worker.
        coordinator: rows of the one who owns the weights.
        hotspots: where Mario died.
        rates: how often each level was completed while it trained.
        evaluations: by step.
        standard: episodes of ``mario-agents eval`` by level and condition.
        videos: videos and what they show, by step.
        snapshots: where they were taken.
        missing: a sentence for everything that is not there or damaged.
    """

    path: Path
    name: str
    trainer: str = ""
    version: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    metrics: RunMetrics = field(default_factory=RunMetrics)
    workers: dict[str, Table] = field(default_factory=dict)
    coordinator: Table | None = None
    hotspots: DeathHotspotAggregate | None = None
    rates: dict[str, LevelRate] = field(default_factory=dict)
    evaluations: list[EvaluationRecord] = field(default_factory=list)
    standard: dict[str, dict[str, tuple[PlayedEpisode, ...]]] = field(default_factory=dict)
    videos: list[tuple[Path, VideoRecord]] = field(default_factory=list)
    snapshots: list[SnapshotSpot] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path, name: str | None = None) -> RunData:
        """Read what there is.

        Raises:
            RunError: if there is no such directory, or nothing of a run in it.
        """
        if not path.is_dir():
            raise absent(path)
        files = RunDir(path, "", "", {})  # only knows the names
        if not any(path.joinpath(name).exists() for name in _SIGNS) and not _workers(path):
            raise RunError(
                f"The directory {path} holds nothing of a run; name a directory that "
                "'mario-agents train' made."
            )
        data = cls(path, showable(name or path.resolve().name))
        data._read_config()
        data._read_metrics()
        data._read_tables(files)
        data._read_hotspots(files.hotspots_path)
        data._read_rates(files.levels_path)
        data._read_evaluations(files.evaluations_path)
        data._read_standard(files.standard_path)
        data._read_videos(files.videos_path)
        data._read_snapshots(files.snapshots_path)
        data._check_weights(files)
        return data

    # -- asking ------------------------------------------------------------------------------

    def curve(self, name: str) -> Curve:
        """A metric over agent steps: of the coordinator, else of all workers together."""
        if self.coordinator is not None:
            curve = curve_of(self.coordinator, name)
            if len(curve):
                return curve
        total = self.metrics.find(name).across is Across.SUM
        return combine([*self.workers.values()], name, total=total)

    @property
    def measured(self) -> list[str]:
        """Names of all metrics that there are rows of."""
        names = {name for table in self._tables() for name in table.columns}
        return sorted(names.difference(ROW_COLUMNS))

    @property
    def game(self) -> str:
        """Name of the cartridge, "smb" unless the configuration says otherwise."""
        return str(self.options.get("game", "smb"))

    @property
    def full_game(self) -> bool:
        """Whether it trains on the whole game and not on single levels."""
        return self.options.get("level") == "full"

    @property
    def levels(self) -> set[str]:
        """Levels in which something is known to have happened."""
        levels = {spot.level for spot in self.snapshots}
        levels |= {segment.level for _, record in self.videos for segment in record.path}
        levels |= {episode.level for e in self.evaluations for episode in (*e.plain, *e.sticky)}
        return levels | set(self.hotspots.levels if self.hotspots is not None else ())

    @property
    def steps(self) -> int:
        """Agent steps of the run, as far as its metrics go."""
        return max((int(t.columns["step"][-1]) for t in self._tables() if len(t)), default=0)

    @property
    def seconds(self) -> float:
        """Wall-clock time from the first row of its metrics to the last."""
        times = [t.columns["time"] for t in self._tables() if len(t) and "time" in t.columns]
        if not times:
            return float("nan")
        return float(max(t[-1] for t in times) - min(t[0] for t in times))

    def total(self, name: str) -> float:
        """A counter, summed over workers; NaN if nobody counted."""
        values = [table.last(name) for table in self.workers.values()]
        known = [value for value in values if value == value]
        return sum(known) if known else float("nan")

    @property
    def time_shares(self) -> list[float]:
        """Where the time of all workers went: the mean of each of ``TIME_SHARES`` over the run, and
        last what was none of them; empty if that was not measured."""
        workers = [*self.workers.values()]
        shares = [weighted_mean(workers, share.name, "time_span") for share in TIME_SHARES]
        if any(math.isnan(share) for share in shares):
            return []
        return [*shares, 1.0 - math.fsum(shares)]

    @property
    def best_video(self) -> tuple[Path, VideoRecord] | None:
        """The video of the best episode; of equals the last."""
        games = [item for item in self.videos if not item[1].ahead]
        return max(reversed(games), key=lambda item: item[1].episode.merit, default=None)

    @property
    def last_dream(self) -> tuple[Path, VideoRecord] | None:
        """The film of what the best agent expected to see: each new best has one."""
        return next((item for item in reversed(self.videos) if item[1].ahead), None)

    def _tables(self) -> list[Table]:
        return [*self.workers.values(), *([self.coordinator] if self.coordinator else [])]

    # -- reading -----------------------------------------------------------------------------

    def _read_config(self) -> None:
        try:
            run = RunDir.open(self.path)
        except RunError as error:
            self.missing.append(f"The configuration: {error}")
        else:
            self.trainer, self.version, self.options = run.trainer, run.version, run.options

    def _read_metrics(self) -> None:
        try:
            self.metrics = read_metrics(self.path)
        except (OSError, msgspec.DecodeError) as error:
            self.missing.append(f"{METRICS_NAME} cannot be read: {error}.")

    def _read_tables(self, files: RunDir) -> None:
        names = _workers(self.path)
        for name in [*names, "coordinator"]:
            path = files.csv_path(name)
            try:
                table = read_table(path)
            except FileNotFoundError:
                self.missing.append(f"{path.name}: the run has not written it.")
                continue
            except (OSError, ValueError) as error:
                self.missing.append(f"{path.name} cannot be read: {error}.")
                continue
            if table.damaged:
                self.missing.append(f"{path.name}: {table.damaged} damaged lines were left out.")
            if not len(table):
                self.missing.append(f"{path.name} has no rows yet.")
            elif name == "coordinator":
                self.coordinator = table
            else:
                self.workers[name] = table
        if not names:
            self.missing.append("worker_0.csv: the run has no metrics of its workers.")

    def _read_hotspots(self, path: Path) -> None:
        if not path.is_file():
            self.missing.append(f"{path.name}: no deaths were saved.")
            return
        try:
            self.hotspots = DeathHotspotAggregate.load_or_create(path)
        except HotspotError as error:
            self.missing.append(f"Deaths: {error}")

    def _read_rates(self, path: Path) -> None:
        try:
            self.rates = read_level_rates(path)
        except RunError as error:
            self.missing.append(str(error))

    def _read_evaluations(self, path: Path) -> None:
        try:
            self.evaluations, damaged = read_evaluations(path)
        except FileNotFoundError:
            self.missing.append(f"{path.name}: the run was not evaluated while it trained.")
        except OSError as error:
            self.missing.append(f"{path.name} cannot be read: {error.strerror}.")
        else:
            if damaged:
                self.missing.append(f"{path.name}: {damaged} damaged lines were left out.")
            elif not self.evaluations:
                self.missing.append(f"{path.name} is empty.")

    def _read_standard(self, path: Path) -> None:
        try:
            self.standard = read_standard(path)
        except FileNotFoundError:
            self.missing.append(f"{path.name}: 'mario-agents eval' has not measured the run.")
        except (OSError, msgspec.DecodeError) as error:
            self.missing.append(f"{path.name} cannot be read: {error}.")

    def _read_videos(self, directory: Path) -> None:
        videos, damaged = read_videos(directory)
        self.videos = [(video, record) for video, record in videos if is_mp4(video)]
        damaged += [video for video, _ in videos if not is_mp4(video)]
        self.missing += [f"videos/{path.name} is damaged." for path in damaged]
        if not videos and not damaged:
            self.missing.append("Videos: none was made while it trained.")

    def _read_snapshots(self, directory: Path) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ArchiveWarning)
            try:
                archive = SnapshotArchive.load(directory, MOST_SNAPSHOTS)
            except ArchiveError as error:
                self.missing.append(f"Snapshots: {error}")
                return
        self.missing += [f"Snapshots: {warning.message}" for warning in caught]
        for entry in archive:
            x, y = entry.x_pos, int(entry.info.get("y_pos", 0))
            self.snapshots.append(
                SnapshotSpot(
                    entry.place.level,
                    entry.place.area,
                    x,
                    y,
                    entry.practice.attempts,
                    entry.practice.successes,
                )
            )
        if not self.snapshots:
            self.missing.append("Snapshots: there are none.")

    def _check_weights(self, files: RunDir) -> None:
        if not files.weights_path.is_file():
            self.missing.append("weights.safetensors: no weights were saved.")


def _workers(path: Path) -> list[str]:
    """Names of the workers that have metrics, by number."""
    found = [file.stem for file in path.glob("worker_*.csv") if _WORKER.fullmatch(file.stem)]
    return sorted(found, key=lambda name: int(name.removeprefix("worker_")))
