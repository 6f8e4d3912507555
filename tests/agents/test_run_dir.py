"""Run directories, their lock, and the weights in them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mario_agents.config import TrainConfig
from mario_agents.run import RunDir, read_weights, write_weights
from mario_agents.run.directory import default_run_path
from mario_envkit.errors import RunError


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "deep" / "run", trainer="toy", config=TrainConfig(seed=5))


def test_create_and_open(run: RunDir) -> None:
    assert RunDir.open(run.path) == run
    assert run.options["seed"] == 5
    content = json.loads((run.path / "config.json").read_text())
    assert content["trainer"] == "toy"
    assert content["config"] == run.options


def test_an_empty_directory_may_be_used(tmp_path: Path) -> None:
    assert RunDir.create(tmp_path, trainer="toy", config=TrainConfig()).path == tmp_path


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match=r"not empty; choose another one with --run-dir\.$"):
        RunDir.create(tmp_path, trainer="toy", config=TrainConfig())
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="Cannot make the run directory"):
        RunDir.create(tmp_path / "file", trainer="toy", config=TrainConfig())


@pytest.mark.parametrize("text", ["", "[]", '{"trainer": "toy"}', "\x00"])
def test_a_damaged_config(run: RunDir, text: str) -> None:
    (run.path / "config.json").write_text(text)
    with pytest.raises(RunError, match="is damaged"):
        RunDir.open(run.path)


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        RunDir.open(tmp_path)
    with pytest.raises(RunError, match=r"There is no run directory .*missing; name one"):
        RunDir.open(tmp_path / "missing")


def test_the_newest_run_is_named_where_there_is_none(tmp_path: Path) -> None:
    for age, name in enumerate(("second", "newest", "first")):
        run = RunDir.create(tmp_path / name, trainer="toy", config=TrainConfig())
        seconds = 1e9 - (age - 1) ** 2
        os.utime(run.path / "config.json", (seconds, seconds))
    with pytest.raises(RunError, match=r"the newest run in .* is .*newest"):
        RunDir.open(tmp_path / "RUN")


def test_with_config(run: RunDir) -> None:
    changed = run.with_config(TrainConfig(seed=5, total_steps=7))
    assert RunDir.open(run.path) == changed
    assert changed.options["total_steps"] == 7


def test_default_paths_are_names_and_never_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _: "now")
    first = default_run_path("toy", "../1,1")
    assert first == Path("runs/toy-.._1_1-now")
    first.mkdir(parents=True)
    assert default_run_path("toy", "../1,1") == Path("runs/toy-.._1_1-now-2")


HOLDER = """
import sys
from pathlib import Path
from mario_agents.run import RunDir
with RunDir.open(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_the_lock_is_exclusive_and_dies_with_its_process(run: RunDir) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match=f"already being trained by process {holder.pid} on "):
            run.lock().__enter__()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with run.lock():  # the stale text in the file means nothing
        assert f"process {os.getpid()}" in (run.path / "run.lock").read_text()
    assert (run.path / "run.lock").read_text() == ""


def test_weights_round_trip(run: RunDir) -> None:
    with pytest.raises(RunError, match="has no weights yet"):
        read_weights(run)
    layer = torch.nn.Linear(3, 2)
    write_weights(run, layer.state_dict(), {"step": 12})
    tensors, metadata = read_weights(run)
    assert metadata == {"trainer": "toy", "step": "12"}
    assert torch.equal(tensors["weight"], layer.weight)
    assert {path.name for path in run.path.iterdir()} == {"config.json", "weights.safetensors"}
    # Other users of the machine may read what they may read elsewhere.
    assert run.weights_path.stat().st_mode == (run.path / "config.json").stat().st_mode


def test_weights_on_a_full_disk(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    write_weights(run, {"a": torch.ones(2)}, {"step": 1})
    monkeypatch.setattr("mario_agents.run.weights.save_file", full)
    with pytest.raises(RunError, match="No space left on device"):
        write_weights(run, {"a": torch.zeros(2)}, {"step": 2})
    assert torch.equal(read_weights(run)[0]["a"], torch.ones(2))
    assert len(list(run.path.iterdir())) == 2


def test_damaged_weights(run: RunDir) -> None:
    run.weights_path.write_bytes(b"\x08\x00\x00\x00")
    with pytest.raises(RunError, match="are damaged"):
        read_weights(run)
