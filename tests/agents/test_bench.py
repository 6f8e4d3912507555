"""``mario-agents bench learn``: its plan, and a whole bench that is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import BenchPlan, merged, read_bench
from mario_agents.bench.request import BenchRequest
from mario_agents.commands.bench import LearnOptions
from mario_agents.experiments.job import is_finished
from mario_agents.experiments.options import parse_overrides
from mario_agents.experiments.place import Place
from mario_agents.experiments.process import Child, last_line, threads_for
from mario_agents.runtime.ray import cluster
from mario_envkit.errors import ConfigError, LevelError, MarioEnvkitError, OptionError
from mario_envkit.vector.cores import available_cores
from tests.agents.command_runs import assert_refused
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("toy")


# -- the plan ----------------------------------------------------------------------------------


def test_every_combination_is_a_cell() -> None:
    request = BenchRequest(
        presets=["ppo/tiles-cpu", "walk"], levels=["1-1", "2-1"], seeds=[0, 5], snapshots="both",
        overrides=["eval-interval=500", "lr=1e-2"], minutes=2,
        place=Place("ray", job_cpus=1.5),
    )  # fmt: skip
    plan = request.plan()
    assert len(plan.cells) == len({cell.name for cell in plan.cells}) == 2 * 2 * 2 * 2
    assert [cell.seed for cell in plan.cells] == [0] * 8 + [5] * 8
    first = plan.cells[0]
    assert first.name == "ppo-tiles-cpu_1-1_snapshots-on_seed-0"
    assert (first.trainer, first.level, first.snapshots) == ("ppo", "1-1", True)
    options = first.options
    assert (options["num_envs"], options["eval_interval"], options["lr"]) == (64, 500, 0.01)
    assert (options["max_minutes"], options["total_steps"]) == (2.0, 1_000_000)
    assert (options["ui"], options["snapshots"], options["torch_threads"]) == (False, True, 1)
    assert plan.budget.horizon(first.options) == 120
    assert {cell.options["level"] for cell in plan.cells} == {"1-1", "2-1"}
    assert (
        len(BenchRequest(presets=["walk"], levels=["all"], seeds=[0], steps=9).plan().cells) == 32
    )
    several = BenchRequest(
        presets=["walk"], levels=["1-1..1-3", "full", "random:1-1..1-2"], seeds=[0], steps=9
    )
    levels = [cell.level for cell in several.plan().cells]
    assert levels == ["1-1", "1-2", "1-3", "full", "random:1-1..1-2"]
    whole = BenchRequest(
        presets=["walk"], overrides=["log_interval=1e3"], seeds=[0], steps=9
    ).plan()
    assert whole.cells[0].options["log_interval"] == 1000


def test_what_presets_say_is_left(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    keys = "trainer: walk\nname: mine\ndescription: Mine.\nmeasured: never\noptions:\n"
    own.write_text(keys + "  snapshots: false\n  level: 1-1..1-4\n  lr: 0.25\n")
    (cell,) = BenchRequest(presets=[str(own)], seeds=[3], steps=640).plan().cells
    assert (cell.preset, cell.level, cell.snapshots) == ("walk/mine", "1-1..1-4", False)
    assert cell.name == "walk-mine_1-1..1-4_snapshots-off_seed-3"
    assert (cell.options["lr"], cell.options["total_steps"], cell.seed) == (0.25, 640, 3)
    own.write_text("name: mine\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml is no preset"):
        BenchRequest(presets=[str(own)], steps=1).plan()


@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        (dict(presets=["walk"]), OptionError, "needs a budget"),
        (dict(presets=["walk", "walk"], steps=1), OptionError, "walk twice"),
        (dict(presets=["walk"], steps=1, seeds=[1, 1]), OptionError, "--seeds"),
        (dict(presets=["walk"], steps=1, weights=()), OptionError, "--weights"),
        (dict(presets=["wlak"], steps=1), MarioEnvkitError, "Did you mean 'walk'"),
        (dict(presets=["ppo/tile-cpu"], steps=1), ConfigError, "Did you mean 'tiles-cpu'"),
        (dict(presets=["walk"], steps=0), ConfigError, "total_steps = 0"),
        (dict(presets=["walk"], steps=1, episodes=0), OptionError, "episodes"),
        (dict(presets=["walk"], steps=1, levels=["9-1"]), LevelError, "9-1"),
        (dict(presets=["walk"], steps=1, overrides=["lrr=1"]), ConfigError, "did you mean 'lr'"),
        (dict(presets=["walk"], steps=1, overrides=["lr"]), OptionError, "gamma=0.95"),
        (dict(presets=["walk"], steps=1, overrides=["seed=1"]), OptionError, "--seeds"),
        (dict(presets=["walk"], steps=1, overrides=["lr=1", "lr=2"]), OptionError, "twice"),
        (dict(presets=["walk"], steps=1, overrides=["lr=["]), ConfigError, "no value"),
    ],
)
def test_requests_that_make_no_sense(words: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        BenchRequest(**words).plan()


def test_values_are_those_of_yaml() -> None:
    words = ["a-b=1e-4", "c=[52, 64]", "d=null", "e=small", "f=a=b"]
    assert parse_overrides(words, (), "") == {
        "a_b": 1e-4, "c": [52, 64], "d": None, "e": "small", "f": "a=b",
    }  # fmt: skip


def plan(**changes: Any) -> BenchPlan:
    return BenchRequest(**{"presets": ["walk"], "seeds": [0, 1], "steps": 640, **changes}).plan()


def test_a_folder_takes_more_of_the_same(tmp_path: Path) -> None:
    stored = plan()
    more = merged(stored, plan(seeds=[1, 2]), tmp_path)
    assert [cell.seed for cell in more.cells] == [0, 1, 2]
    assert merged(more, stored, tmp_path) == more
    for changes, what in (
        (dict(steps=641), "steps = 640, not 641"),
        (dict(episodes=5), "episodes = 100, not 5"),
        (dict(weights=("best",)), "weights"),
        (dict(jobs=2), "jobs = 1, not 2"),
        (dict(overrides=["lr=0.5"]), "lr = 0.05, not 0.5"),
    ):
        with pytest.raises(OptionError, match=what):
            merged(stored, plan(**changes), tmp_path)


# -- where the runs are ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--address", "auto"], "--address is for runs on a Ray cluster: give --engine ray."),
        (["--job-cpus", 2], "--job-cpus is for runs on a Ray cluster"),
        (["--engine", "ray", "--address", "ray://there:10001"], "Ray client"),
        (["--engine", "ray", "--job-cpus", -1], "job_cpus"),
    ],
)
@pytest.mark.parametrize("command", ["bench learn --presets walk", "sweep walk --search lr=1..2"])
def test_places_that_make_no_sense(
    cli: Any, command: str, words: list[Any], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "require_ray", lambda: None)
    refused = cli(*command.split(), "--steps", 9, "--out", "b", *words)
    assert_refused(refused, match)
    assert not Path("b").exists()


def test_a_place_is_that_of_the_command_before() -> None:
    options = LearnOptions(out=Path("b"), job_cpus=2.0)
    before = Place("ray", "there:6379", 1.0, 0.5)
    after = Place("ray", "there:6379", 2.0, 0.5)
    with mock.patch.object(cluster, "require_ray"):
        assert options.place(before) == after
        assert LearnOptions(out=Path("b")).place(after) == after
        again = LearnOptions(out=Path("b"), engine="processes").place(after)
    assert again.engine == "processes"
    assert after.threads(9) == 2
    assert Place("ray", job_cpus=0.5).threads(9) == 1
    assert Place().threads(1) is None


# -- processes ---------------------------------------------------------------------------------


def test_a_child_has_its_share_of_the_cores(tmp_path: Path) -> None:
    assert threads_for(1) is None
    assert threads_for(1000) == 1
    assert threads_for(2) == max(available_cores() // 2, 1)
    child = Child(["trainers"], tmp_path / "log", slot=1, jobs=2)
    until(lambda: child.exit_status is not None)
    child.close()
    assert child.exit_status == 0
    assert last_line(tmp_path / "log")
    (tmp_path / "empty").touch()
    assert last_line(tmp_path / "empty") == ""


@pytest.mark.slow
def test_a_bench_is_killed_and_goes_on(cli: Any, cli_env: dict[str, str], tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    words = ["bench", "learn", "--presets", "walk", "--seeds", "0", "1", "--steps", "640",
             "--set", "eval_interval=64", "pause=0.1", "eval_episodes=2", "checkpoint_interval=64",
             "--episodes", "3", "--weights", "best", "--out", "first"]  # fmt: skip
    command = [sys.executable, "-m", "mario_agents.cli", *words]
    layout = BenchLayout(tmp_path / "first")
    bench = subprocess.Popen(command, cwd=tmp_path, env=cli_env, start_new_session=True)
    cells: list[Any] = []

    def training() -> bool:
        if not layout.plan.exists():
            return False
        cells[:] = [layout.cell(cell.name) for cell in read_bench(layout.plan).cells]
        return cells[0].run_files.weights_path.exists()

    try:
        until(training)
    finally:
        os.killpg(bench.pid, signal.SIGKILL)
        bench.wait()
    # Its child notices that it is alone, saves and ends.
    log = cells[0].run_files.log_path
    until(lambda: "Stopped by a signal" in log.read_text())
    assert not any(is_finished(files) for files in cells)

    for name, value in cli_env.items():
        monkeypatch.setenv(name, value)
    shown = cli("bench", "learn", "--out", "first", "--show")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count(": unfinished") == 2
    changed = cli(*words, "--jobs", 2)
    assert (changed.returncode, changed.stderr.count("\n")) == (2, 1)
    assert "jobs = 1, not 2" in changed.stderr

    done = cli("bench", "learn", "--out", "first")
    assert done.returncode == 0, done.stderr
    assert "unfinished" not in done.stdout
    assert done.stderr.count(": begins") == 2
    results = json.loads((tmp_path / "first" / "results.json").read_text())
    for seed in results["rows"][0]["seeds"]:
        assert seed["steps"] == 640
        assert seed["standard"]["best"]["greedy-plain"] == 1.0
        first = seed["first"]
        assert 0 < first["seconds"] <= first["known"] < first["process_seconds"]
        assert 0 < seed["area"] < 1
    assert "Stopped by a signal" not in log.read_text()  # it began at its beginning

    before = {files.result: files.result.stat().st_mtime_ns for files in cells}
    again = cli(*words)
    assert again.returncode == 0, again.stderr
    assert ": begins" not in again.stderr
    assert again.stdout == done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.slow
def test_a_run_that_fails_is_told_of(cli: Any, cli_env: dict[str, str], tmp_path: Path,
                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    for name, value in cli_env.items():
        monkeypatch.setenv(name, value)
    done = cli("bench", "learn", "--presets", "toy", "--seeds", 0, "--steps", 10,
               "--set", "rom=nowhere.nes", "device=cuda:7", "--out", "b")  # fmt: skip
    assert done.returncode == 1
    assert "toy 1-1 on seed 0: failed: mario-agents: " in done.stdout
    assert "1 of 1 runs failed" in done.stdout
    refused = cli("bench", "learn", "--out", "c")
    assert refused.returncode == 2
    assert "There is no bench in c" in refused.stderr
    refused = cli("bench", "learn", "--out", "b", "--seeds", 4)
    assert refused.returncode == 2
    assert "--presets" in refused.stderr
