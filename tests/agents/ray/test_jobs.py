"""Benches and sweeps whose runs are on two nodes of a Ray cluster: on the real thing."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from optuna.trial import TrialState

from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import read_bench
from mario_agents.experiments.cell import CellFiles
from mario_agents.experiments.cell_result import read_result
from mario_agents.run import CheckpointStore
from mario_agents.sweep.optuna_study import open_study
from mario_agents.sweep.plan import SweepLayout
from tests.agents.ray.conftest import Begin, TestCluster, finish
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

LEARN = ("bench", "learn", "--presets", "walk", "--steps", 640, "--episodes", 3, "--weights",
         "best", "--set", "eval_interval=64", "eval_episodes=2",
         "checkpoint_interval=64")  # fmt: skip


def cells(folder: Path) -> list[CellFiles]:
    layout = BenchLayout(folder)
    return [layout.cell(cell.name) for cell in read_bench(layout.plan).cells]


def trains(files: CellFiles) -> bool:
    """Whether something has come of a run, wherever it is."""
    return files.run_files.evaluations_path.exists()


def log_of(files: CellFiles) -> str:
    return (files.run / "training.log").read_text()


def assert_whole(files: CellFiles) -> None:
    """The files of a run are here, as if it had been trained here."""
    result = read_result(files)
    assert result is not None
    assert (result.status, result.error, result.steps) == ("finished", "", 640)
    assert result.standard["best"]["greedy-plain"].rate == 1.0
    assert len(result.points) >= 5
    assert CheckpointStore(files.run / "checkpoint").load_latest().step == 640
    assert json.loads((files.run / "config.json").read_text())["trainer"] == "walk"
    names = {path.name for path in files.run.iterdir()}
    assert {"worker_0.csv", "training.log", "best.safetensors", "weights.safetensors"} <= names
    assert not names & {"events.json"}
    assert "/tmp/mario-run-" not in files.log.read_text()


def test_runs_of_a_bench_are_on_both_nodes_and_their_files_here(
    begin: Begin, cluster: TestCluster, tmp_path: Path
) -> None:
    """Also of one that is stopped on the way, and goes on by its folder alone."""
    out = tmp_path / "b"
    first = begin(
        *LEARN, "pause=1.0", "--seeds", 0, 1, 2, "--jobs", 2, "--out", "b", "--engine", "ray",
        "--address", cluster.address, "--job-cpus", 2,
    )  # fmt: skip
    until(lambda: (out / "plan.json").exists() and all(map(trains, cells(out)[:2])))
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=PATIENCE)
    assert first.returncode == 130, errors
    assert "Continue with: mario-agents bench learn --out b" in errors
    cluster.assert_nothing_left()
    stopped = [files for files in cells(out)[:2] if "Stopped by a signal" in log_of(files)]
    assert stopped
    for files in stopped:  # they are here as they were left
        assert 0 < CheckpointStore(files.run / "checkpoint").load_latest().step <= 640

    output, _ = finish(begin("bench", "learn", "--out", "b"))
    assert "unfinished" not in output
    for files in cells(out):
        assert_whole(files)
    nodes = {result.node for files in cells(out) if (result := read_result(files))}
    assert len(nodes) == 2
    assert "a Ray cluster, 2 CPUs for each run" in output


def test_what_a_lost_node_worked_on_is_done_elsewhere(
    begin: Begin, cluster: TestCluster, tmp_path: Path
) -> None:
    node = cluster.add_node(num_cpus=4)
    try:
        process = begin(
            *LEARN, "pause=1.0", "--seeds", 0, "--out", "b", "--engine", "ray",
            "--address", cluster.address, "--job-cpus", 3,
        )  # fmt: skip
        until(lambda: (tmp_path / "b" / "plan.json").exists() and trains(cells(tmp_path / "b")[0]))
        os.kill(cluster.raylet(node), signal.SIGKILL)
    finally:
        cluster.nodes.remove_node(node, allow_graceful=False)
    node = cluster.add_node(num_cpus=4)
    try:
        _, errors = finish(process)
        assert "is gone; it will begin again" in errors
        assert errors.count(": begins") == 2
        assert_whole(cells(tmp_path / "b")[0])
    finally:
        cluster.nodes.remove_node(node)


def test_a_killed_sweep_leaves_nothing_in_the_cluster_and_goes_on(
    begin: Begin, cluster: TestCluster, tmp_path: Path
) -> None:
    layout = SweepLayout(tmp_path / "s")
    # Random play gets through a corridor of nine places at most: longer ones are never learned.
    first = begin(
        "sweep", "walk", "--search", "length=2..40", "--steps", 640, "--startup", 2, "--trials", 4,
        "--set", "eval_interval=64", "eval_episodes=2", "pause=0.4", "checkpoint_interval=640",
        "--jobs", 2, "--out", "s", "--engine", "ray", "--address", cluster.address,
    )  # fmt: skip
    until(lambda: all(trains(layout.cell(f"trial-{number:03d}")) for number in range(2)))
    first.kill()
    first.communicate()
    cluster.assert_nothing_left()
    finish(begin("sweep", "--out", "s"))
    states = [trial.state for trial in open_study(layout.storage).get_trials()]
    done = (TrialState.COMPLETE, TrialState.PRUNED)
    assert sum(state in done for state in states) == 4
    assert set(states) <= {*done, TrialState.FAIL}
    results = json.loads((layout.path / "results.json").read_text())
    for trial in results["trials"]:
        assert trial["steps"] == 640 if trial["state"] == "finished" else trial["steps"] < 640
        assert "a Ray cluster, 1 CPUs for each run; trials at once: 2" in trial["machine"]


def test_a_cluster_of_the_command_alone_ends_with_it(begin: Begin, tmp_path: Path) -> None:
    finish(begin(*LEARN, "--seeds", 0, "--engine", "ray", "--out", "b"))
    assert_whole(cells(tmp_path / "b")[0])
