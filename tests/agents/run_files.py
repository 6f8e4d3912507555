"""Run directories as training leaves them, made by hand: nothing of the game is in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from mario_agents.algos.ppo.metrics import METRICS
from mario_agents.config import TrainConfig
from mario_agents.run import RunDir
from mario_agents.run.records import (
    EvaluationRecord,
    PlayedEpisode,
    Segment,
    VideoRecord,
    evaluation_line,
    write_video_record,
)
from mario_agents.telemetry import CsvSink, RunMetrics, write_metrics
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.files import append
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.context import Saved
from mario_envkit.snapshots.entry import ArchivedSnapshot, Place
from mario_envkit.video import mp4_writer

AREA = 42640  # where 1-1 begins
FLAG = PlayedEpisode("1-1", True, 317.0, 3161, 290, "flag")
DEATH = PlayedEpisode("1-1", False, 90.0, 1100, 120, "enemy")


def write_run(path: Path, *, seed: int = 0, workers: int = 2, video: bool = True) -> RunDir:
    """A whole run of 10,000 steps; returns grow from ``seed`` by 1 in 100 steps."""
    config = dataclasses.replace(TrainConfig(), seed=seed)
    run = RunDir.create(path, trainer="ppo", config=config)
    write_metrics(path, RunMetrics.of(METRICS))
    for worker in range(workers):
        names = ["steps", "episodes", "deaths", "flags", "best_x", "reward", "success", "loss"]
        names += ["time_span", "time_env", "time_inference", "time_learning", "time_waiting"]
        sink = CsvSink(run.csv_path(f"worker_{worker}"), names)
        for step in range(1000, 10_001, 1000):
            share = step / 10_000
            values = (step / workers, step // 100, step // 120, step // 5000, 3161 * share)
            measured = (seed + step / 100, share, 1 / step)
            # The first row is of 9 s that were spent on nothing, every other one of 1 s.
            times = (9.0, *[0.0] * 4) if step == 1000 else (1.0, 0.4, 0.2, 0.2, 0.2 * worker)
            sink.write(step, dict(zip(names, (*values, *measured, *times), strict=True)))
        sink.close()
    sink = CsvSink(run.csv_path("coordinator"), ["lr", "eval_success"])
    sink.write(10_000, {"lr": 1e-4, "eval_success": 0.5})
    sink.close()
    deaths = DeathHotspotAggregate()
    deaths.record_deaths_batch("1-1", [310] * 40 + [800] * 10 + [1130] * 3)
    deaths.save(run.hotspots_path)
    for step, plain in ((5_000, (DEATH, DEATH)), (10_000, (FLAG, FLAG))):
        record = EvaluationRecord(step, plain, (DEATH, FLAG))
        append(run.evaluations_path, evaluation_line(record))
    archive = SnapshotArchive()
    archive.add(snapshot(260))
    archive.save(run.snapshots_path)
    run.weights_path.write_bytes(b"weights")
    if video:
        run.videos_path.mkdir()
        video = run.videos_path / "step-10000.mp4"
        with mp4_writer(video, 30, quick=True) as writer:
            for shade in range(0, 200, 10):
                writer.show(np.full((64, 64, 3), shade, np.uint8))
        points = tuple((40 + 10 * i, 79) for i in range(300))
        way = (Segment("1-1", AREA, points),)
        write_video_record(video, VideoRecord(10_000, ("first flag",), (1.0, 3161.0), FLAG, way))
    return run


def snapshot(x_pos: int) -> ArchivedSnapshot:
    """Of a made-up console, at ``x_pos`` of 1-1."""
    saved = Saved(
        Snapshot("fake", "00" * 32, bytes(40)), (1, 1, 0, 0), (("MarioEnv", ((1, 1), 9)),)
    )
    info = {"level": "1-1", "area": AREA, "x_pos": x_pos, "y_pos": 79, "frame": 100}
    context = Place("1-1", AREA, x_pos // 25, 1, (0, 0))
    return ArchivedSnapshot(context, saved, np.zeros(3, np.uint8), info)
