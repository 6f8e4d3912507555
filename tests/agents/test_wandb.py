"""The Weights & Biases sink, offline: what it would send is read back from its file."""

from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path

import pytest

from mario_agents.config import TrainConfig, make_config
from mario_agents.run import RunDir
from mario_agents.run.records import PlayedEpisode, VideoRecord, write_video_record
from mario_agents.telemetry import WandbSink
from mario_agents.telemetry.sinks.run_wandb import WandbRun
from mario_envkit.errors import OptionError, RunError
from tests.waiting import until

BLOCK = 32768


def records(path: Path) -> list[bytes]:
    """Records of a ``.wandb`` file, which is a LevelDB log after a header of 7 bytes."""
    data, found, parts, where = path.read_bytes(), [], b"", 7
    while where + 7 <= len(data):
        if BLOCK - where % BLOCK < 7:  # too little room for a record's header
            where += BLOCK - where % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, where)
        parts += data[where + 7 : where + 7 + length]
        where += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(parts)
            parts = b""
    return found


def rows(folder: Path) -> list[dict[str, float]]:
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    found = []
    for record in map(Record.FromString, records(path)):
        if record.HasField("history"):
            items = {
                item.key or "/".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            found.append({key: value for key, value in items.items() if key[0] != "_"})
    return found


@pytest.fixture
def run(tmp_path):
    return RunDir.create(tmp_path / "run", trainer="ddqn", config=TrainConfig(wandb="mario"))


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    """wandb that knows nobody's login and reaches no server; its own process ends with the test."""
    wandb = pytest.importorskip("wandb")
    for name in ("HOME", "NETRC", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    yield wandb
    wandb.teardown()


def test_rows_of_processes_at_different_steps_and_a_resume(run, wandb, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    sink = WandbSink("mario", run.path, run.options)
    sink.write(20, {"worker_0/loss": 1.5, "worker_0/reward": math.nan})
    sink.write(10, {"coordinator/lr": 0.5})
    sink.close()
    sink.close()
    wandb.teardown()
    name = (run.path / "wandb-id").read_text().strip()
    (first,) = (run.path / "wandb").glob(f"offline-run-*-{name}")
    # wandb's own process may still be writing when close() returns.
    until(lambda: len(rows(first)) >= 2)
    assert rows(first) == [{"step": 20, "worker_0/loss": 1.5}, {"step": 10, "coordinator/lr": 0.5}]
    WandbSink("mario", run.path, run.options).close()
    assert all(path.name.endswith(name) for path in (run.path / "wandb").glob("offline-run-*"))


def video(run: RunDir, step: int) -> None:
    run.videos_path.mkdir(exist_ok=True)
    video = run.videos_path / f"step-{step}.mp4"
    video.write_bytes(b"video %d" % step)
    episode = PlayedEpisode("1-1", True, 1.0, 3161, 9, "flag")
    write_video_record(video, VideoRecord(step, ("new best",), (1.0,), episode, ()))


def test_videos_are_sent_once(run, wandb, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    video(run, 10)
    video(run, 20)
    sink = WandbRun("mario", run, resume_step=10)
    sink.write(30, {"worker_0/loss": 1.5})
    sink.write(40, {"worker_0/loss": 1.25})
    video(run, 50)
    sink.close()
    sink.close()
    wandb.teardown()
    (folder,) = (run.path / "wandb").glob("offline-run-*")
    until(lambda: len(rows(folder)) >= 4)
    sent = [row for row in rows(folder) if any("video" in name for name in row)]
    assert [row["step"] for row in sent] == [20, 50]
    assert sent[0]["video/caption"] == "new best"
    files = sorted(path.read_bytes() for path in folder.rglob("*.mp4"))
    assert files == [b"video 20", b"video 50"]


def test_no_login_is_told_in_a_sentence(run, wandb, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(RunError, match="WANDB_MODE=offline"):
        WandbSink("mario", run.path, run.options)


def test_without_the_package_nothing_is_begun(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    done = cli("train", "toy", "--wandb", "mario", "--run-dir", "here")
    assert done.returncode == 2
    assert "pip install 'mario-envkit[wandb]'" in done.stderr
    assert not Path("here").exists()
    with pytest.raises(OptionError, match="wandb"):
        WandbSink("mario", Path("here"), {})


def test_it_may_be_switched_on_and_off_when_a_run_is_resumed():
    assert "wandb" in TrainConfig.RESUMABLE
    assert make_config(TrainConfig, {"wandb": "mario"}, source="test").wandb == "mario"
