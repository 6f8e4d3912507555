"""Runs on a disk that is full: for a while, at the beginning, at the end."""

from __future__ import annotations

import csv
import logging
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_agents.run import CheckpointStore, RunDir, read_weights, storage
from mario_agents.run.records import read_evaluations
from mario_agents.run.storage import RETRY_SECONDS, GrowingFile
from mario_agents.runtime.local import LocalTopology
from mario_agents.runtime.run import train
from mario_agents.runtime.worker import TrainingWorker
from mario_agents.telemetry import CsvSink, TensorBoardSink
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig
from mario_envkit.closing import close_all, close_at_end
from mario_envkit.errors import CheckpointError, MarioEnvkitError, RunError
from mario_envkit.files import append
from mario_envkit.video import mp4_writer
from tests.agents.algorithms import EvaluatedInThread
from tests.agents.disks import FaultyDisk, fill, small_disk
from tests.agents.living_run import LivingRun

TOY = ToyConfig(
    total_steps=3200, num_envs=4, checkpoint_interval=320, log_interval=64, eval_interval=320,
    eval_episodes=1, device="cpu", ui=False,
)  # fmt: skip


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    return FaultyDisk(tmp_path, monkeypatch)


def full_between(disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch, begin: int, end: float) -> None:
    """Let the disk be full while a run makes these agent steps."""
    watch = LocalTopology.watch

    def watching(topology: LocalTopology) -> None:
        disk.full = begin <= topology.coordinator.step < end
        watch(topology)
        topology.coordinator.take_evaluation(wait=True)  # so that each is over before that changes

    monkeypatch.setattr(LocalTopology, "watch", watching)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_nothing_is_missing_after_the_disk_was_full(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, "mario_agents")
    run = RunDir.create(tmp_path / "run", trainer="any", config=TOY)
    full_between(disk, monkeypatch, 640, 1920)
    train(EvaluatedInThread(), TOY, run, resume=False)
    for name in ("weights.safetensors", "evaluations.jsonl", "coordinator.csv", "worker_0.csv"):
        assert name in disk.refused
    for name in ("worker_0", "coordinator"):
        assert [int(row["step"]) for row in rows(run.csv_path(name))] == [*range(64, 3201, 64)]
    records, damaged = read_evaluations(run.evaluations_path)
    assert ([record.step for record in records], damaged) == ([*range(320, 3201, 320)], 0)
    # Of equals the last one is the best.
    assert int(read_weights(run, "best")[1]["step"]) == max(
        record.step for record in records if score(record) == max(map(score, records))
    )
    assert CheckpointStore(run.checkpoint_path).load_latest().step == 3200
    for what in ("coordinator.csv", "worker_0.csv", "evaluations.jsonl", "A checkpoint"):
        assert caplog.text.count(f"{what} can be written again.") == 1
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == len(set(warnings))
    assert all("No space left on device" in text for text in warnings)


def score(record: Any) -> tuple[float, float]:
    episodes = (*record.plain, *record.sticky)
    return (
        sum(each.success for each in episodes) / len(episodes),
        sum(each.best_x for each in episodes) / len(episodes),
    )


def test_an_end_that_cannot_be_saved_is_told_in_one_sentence(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    run = RunDir.create(tmp_path / "run", trainer="any", config=TOY)
    full_between(disk, monkeypatch, 640, float("inf"))
    with pytest.raises(RunError) as caught:
        train(EvaluatedInThread(), TOY, run, resume=False)
    said = str(caught.value)
    assert said.startswith("The end of the run is not saved. Cannot write a checkpoint to ")
    assert "No space left on device" in said
    assert said.endswith(f"mario-agents train --resume {run.path}")
    assert isinstance(caught.value.__cause__, CheckpointError)
    assert caught.value.__context__ is caught.value.__cause__
    disk.full = False
    assert CheckpointStore(run.checkpoint_path).load_latest().step == 320


def test_what_must_be_there_at_the_beginning_is_an_error_before_training(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.full = True
    with pytest.raises(RunError, match=r"Cannot write .*config.json: No space left on device"):
        RunDir.create(tmp_path / "none", trainer="any", config=TOY)
    disk.full = False
    run = RunDir.create(tmp_path / "run", trainer="any", config=TOY)
    monkeypatch.setattr(TrainingWorker, "advance", lambda worker: pytest.fail("it trains"))
    disk.full = True
    with pytest.raises(RunError, match="No space left on device"):
        train(ToyAlgorithm(), TOY, run, resume=False)


@pytest.mark.slow
def test_what_was_measured_and_cannot_be_kept_is_an_error(
    cli: Any, tmp_path: Path, disk: FaultyDisk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run, out = tmp_path / "run", tmp_path / "result.json"
    assert cli("train", "toy", "--run-dir", run, "--total-steps", 20).returncode == 0
    disk.full = True
    done = cli("eval", run)
    assert done.returncode == 2
    assert "sampled-sticky" in done.stdout  # it took long to measure
    assert done.stderr == (
        f"mario-agents: Cannot write {run}/eval.json: No space left on device; so reports will not "
        "have what was measured. It is printed above; free some space, then measure again.\n"
    )
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "result.json"
    assert cli("eval", run, "--out", elsewhere).returncode == 2
    assert "sampled-sticky" in elsewhere.read_text()
    done = cli("eval", run, "--quick", "--out", out)
    assert (done.returncode, done.stderr) == (
        2, f"mario-agents: Cannot write {out}: No space left on device.\n"
    )  # fmt: skip
    disk.full = False
    assert cli("eval", run).returncode == 0
    assert disk.refused == ["eval.json", "eval.json", "result.json"]


# -- parts ------------------------------------------------------------------------------------


def test_appending_is_all_or_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "file"
    append(path, b"first\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # of "second" only four bytes fit
    try:
        with pytest.raises(OSError, match="too large"):
            append(path, b"second\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    append(path, b"third\n")
    assert path.read_bytes() == b"first\nthird\n"


def test_lines_wait_and_their_end_is_told(
    tmp_path: Path, disk: FaultyDisk, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(storage, "RETRY_SECONDS", 0.0)
    disk.full = True
    sink = CsvSink(tmp_path / "a.csv", ["x"])
    for step in (1, 2):
        sink.write(step, {"x": step})
    assert caplog.messages == [
        "a.csv cannot be written: No space left on device. Training goes on, and tries again later."
    ]
    disk.full = False
    sink.write(3, {"x": 3})
    assert [row["x"] for row in rows(tmp_path / "a.csv")] == ["1", "2", "3"]
    disk.full = True
    sink.write(4, {"x": 4})
    with pytest.raises(RunError, match="what is missing is lost"):
        sink.close()
    sink.close()


def test_a_full_disk_is_tried_again_after_a_while(tmp_path: Path, disk: FaultyDisk) -> None:
    now = 0.0
    file = GrowingFile(tmp_path / "file", clock=lambda: now)
    disk.full = True
    for second in range(20):
        now = float(second)
        for _ in range(100):
            file.append(b".")
    assert len(disk.refused) == 20 / RETRY_SECONDS
    disk.full = False
    file.append(b"!")
    assert not file.path.exists()
    now += RETRY_SECONDS
    file.append(b"!")
    assert file.path.read_bytes() == b"." * 2000 + b"!!"
    disk.full = True
    file.append(b"?")
    disk.full = False
    file.flush()  # does not wait
    assert file.path.read_bytes().endswith(b"!!?")


def test_what_waits_is_bounded(
    tmp_path: Path, disk: FaultyDisk, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, "mario_agents")
    monkeypatch.setattr("mario_agents.run.storage.MOST_WAITING", 10)
    file = GrowingFile(tmp_path / "file")
    disk.full = True
    for number in range(5):
        file.append(b"%d...\n" % number)
    disk.full = False
    file.close()
    assert file.path.read_bytes() == b"3...\n4...\n"
    assert "can be written again. 3 entries are missing." in caplog.text


def test_tensorboard_neither_waits_nor_loses(tmp_path: Path) -> None:
    """Its own writer has a thread that the first full disk ends, and then hangs."""
    resource = pytest.importorskip("resource")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sink = TensorBoardSink(tmp_path / "tensorboard")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        for step in range(60):
            size = 100 if 10 <= step < 50 else limits[0]
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
            sink.write(step, {"loss": float(step)})
            sink.write_counts(step, "deaths", {0: 1, 50: 2}, 25)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    sink.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"histograms": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [*range(60)]
    assert len(events.Histograms("deaths")) == 60


def test_a_failed_checkpoint_leaves_no_tensors_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path)
    store.save(1, {"a": torch.ones(2)}, {})
    before = sorted(tmp_path.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mario_agents.run.checkpoint.replace_text", full)
    with pytest.raises(CheckpointError):
        store.save(2, {"a": torch.zeros(2)}, {})
    assert sorted(tmp_path.iterdir()) == before


def test_closing_never_hides_the_first_error() -> None:
    class Thing:
        def close(self) -> None:
            raise OSError("second")

    with pytest.raises(ValueError, match="first"), close_at_end(Thing()):
        raise ValueError("first")
    with pytest.raises(OSError, match="second"), close_at_end(Thing()):
        pass
    closed = []

    def fail() -> None:
        closed.append(1)
        raise MarioEnvkitError("first")

    with pytest.raises(MarioEnvkitError, match="first"):
        close_all(fail, Thing().close, fail)
    assert len(closed) == 2


# -- a real one -------------------------------------------------------------------------------

needs_mount = pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system")


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as path:
        yield path


@needs_mount
def test_a_video_that_does_not_fit_is_an_error_and_leaves_nothing(tmpfs: Path) -> None:
    import numpy as np

    filler = fill(tmpfs)
    rng = np.random.default_rng(0)

    def write() -> None:
        with mp4_writer(tmpfs / "a.mp4") as video:
            for _ in range(40):
                video.show(rng.integers(0, 255, (240, 256, 3), np.uint8))

    with pytest.raises(OSError, match="No space left"):
        write()
    assert [*tmpfs.iterdir()] == [filler]


@needs_mount
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.slow
def test_a_run_on_a_full_disk_goes_on_and_says_what_is_not_saved(
    tmpfs: Path, cli_env: dict[str, str], workers: int
) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="run"))
    words = ("--workers", workers, "--run-dir", "run", "--checkpoint-interval", 600, "--device",
             "cpu", "--log-interval", 300, "--total-steps", 10**9, "--pause", 0.02,
             "--eval-interval", 0)  # fmt: skip
    run = LivingRun(tmpfs, temporary, cli_env, "walk", *words)

    def until_full(condition: Callable[[], bool]) -> None:
        """Wait while the disk is kept full: whoever cannot write to its end gives space back, in
        which a checkpoint might find room."""
        run.until(lambda: bool(fill(tmpfs)) and condition())

    def refusals() -> int:
        """How often saving began to fail: which of its files is the first is chance."""
        began = [text for text in run.logged if "Cannot write" in text]
        return sum("tries again later" in text for text in began)

    try:
        run.until(lambda: run.updates > 0 and len(run.checkpoint()) >= 2)
        until_full(lambda: refusals() > 0)
        updates = run.updates
        until_full(lambda: run.updates > updates + 30)
        filler = fill(tmpfs)
        filler.unlink()
        run.until(lambda: run.said("A checkpoint can be written again."))
        latest = run.checkpoint().load_latest().step
        run.until(lambda: run.checkpoint().load_latest().step > latest)
        known = refusals()
        until_full(lambda: refusals() > known)
        run.process.send_signal(signal.SIGINT)
        status, errors = run.end()
        assert status == 2
        lines = [line for line in errors.splitlines() if line.startswith("mario-agents: ")]
        assert len(lines) == 1, errors
        assert errors.splitlines()[-1] == lines[0]
        assert "The end of the run is not saved. Cannot write a checkpoint to run/" in lines[0]
        assert "mario-agents train --resume run" in lines[0]
        # Beside those that say how far it is, which are the more the longer it takes.
        told = [line for line in errors.splitlines() if not line.startswith("step ")]
        assert len(told) < 20, errors
        filler.unlink()
        steps = [int(row["step"]) for row in run.rows("coordinator")]
        assert steps == sorted(set(steps))
        run.start("--resume", "run", "--total-steps", run.checkpoint().load_latest().step + 600)
        status, errors = run.end()
        assert status == 0, errors
    finally:
        run.close()
        shutil.rmtree(temporary, ignore_errors=True)


@needs_mount
@pytest.mark.slow
def test_a_full_disk_at_the_beginning_is_one_sentence(tmpfs: Path, cli_env: dict[str, str]) -> None:
    fill(tmpfs)
    words = ["train", "walk", "--run-dir", "run", "--total-steps", "100"]
    done = subprocess.run(
        [sys.executable, "-m", "mario_agents.cli", *words], cwd=tmpfs, env=cli_env, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("mario-agents: Cannot write run/config.json: No space left")
    assert done.stderr.count("\n") == 1
