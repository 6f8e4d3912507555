"""A trainer that is installed where the command runs, and nowhere else in the cluster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import read_bench
from mario_agents.experiments.cell_result import read_result
from mario_agents.run import CheckpointStore
from tests.agents.ray.conftest import ROOT, Begin, TestCluster, finish
from tests.agents.ray.own_trainer import install
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package ``my_trainer`` as an installed distribution; commands find it,
    nodes do not."""
    folder = tmp_path / "mine"
    install(folder, check='assert os.environ["MY_VARIABLE"] == "told"')
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
    monkeypatch.setenv("MY_VARIABLE", "told")
    return folder


def environment(folder: Path, **keys: object) -> Path:
    path = folder / "env.yaml"
    path.write_text(yaml.safe_dump({**keys, "env_vars": {"MY_VARIABLE": "told"}}))
    return path


def test_workers_and_learner_get_a_module_that_nodes_do_not_have(
    begin: Begin, cluster: TestCluster, tmp_path: Path, mine: Path
) -> None:
    words = (
        "train", "my_trainer", "--engine", "ray", "--address", cluster.address, "--workers", 1,
        "--total-steps", 640, "--device", "cpu", "--eval-interval", 0,
    )  # fmt: skip
    without = begin(*words, "--run-dir", "without")
    _, errors = without.communicate(timeout=PATIENCE)
    assert without.returncode == 2
    assert "my_trainer" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    finish(begin(*words, "--run-dir", "run", "--runtime-env",
                 environment(tmp_path, py_modules=[str(mine / "my_trainer")])))  # fmt: skip
    assert CheckpointStore(tmp_path / "run" / "checkpoint").load_latest().step >= 640


def test_runs_of_a_bench_get_it_as_an_installed_distribution(
    begin: Begin, cluster: TestCluster, tmp_path: Path, mine: Path
) -> None:
    words = (
        "bench", "learn", "--presets", "my_trainer", "--steps", 640, "--seeds", 0, "--out", "b",
        "--episodes", 2, "--weights", "latest", "--engine", "ray", "--address", cluster.address,
    )  # fmt: skip
    finish(begin(*words, "--runtime-env", environment(tmp_path, working_dir=str(mine))))
    layout = BenchLayout(tmp_path / "b")
    (cell,) = read_bench(layout.plan).cells
    result = read_result(layout.cell(cell.name))
    assert result is not None
    assert (result.status, result.steps) == ("finished", 640)
