"""Trials by Optuna's storage: chosen, pruned, cut off and tried again; nothing is trained."""

from __future__ import annotations

import csv
import json
import sqlite3
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from mario_agents.config import make_config, read_options
from mario_agents.experiments import runner
from mario_agents.experiments.runner import MOST_LOSSES, run_jobs
from mario_agents.presets import Preset, preset_for, read_preset
from mario_agents.sweep import trials as module
from mario_agents.sweep.best_preset import best_of
from mario_agents.sweep.optuna_study import open_study
from mario_agents.sweep.plan import SweepLayout, merged, startup_for
from mario_agents.sweep.record import read_trials
from mario_agents.sweep.request import SweepRequest, try_draws
from mario_agents.sweep.results import publish, results_of
from mario_agents.testing.toy import ToyConfig
from mario_envkit.errors import ConfigError, MarioEnvkitError, OptionError, RunError
from tests.agents.sweep import pretend
from tests.agents.sweep.pretend import EVALUATIONS, STEPS, Sweep

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting, not even for the disk."""
    connect = sqlite3.connect

    def careless(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", careless)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)


def short_is_good(options: object) -> float:
    return 1.0 if options["length"] < 12 else 0.2  # type: ignore[index]


# -- the plan ----------------------------------------------------------------------------------


def test_the_plan(tmp_path: Path) -> None:
    words = ["lr=1e-3..1e-1:log", "length=2,5"]
    plan = SweepRequest("walk", words, ["pause=0.5"], minutes=2, trials=40).plan()
    assert (plan.preset.trainer, plan.preset.options) == ("walk", {"pause": 0.5})
    assert (plan.overrides, plan.startup, plan.budget.by_time) == ({"pause": 0.5}, 10, True)
    assert [startup_for(trials) for trials in (1, 12, 20, 400)] == [3, 3, 5, 10]
    for changes, match in (
        (dict(search=["lr=1..2"]), "lr=1.0..2.0"),
        (dict(overrides=["pause=1"]), "pause = 0.5, not 1"),
        (dict(minutes=3), "minutes 2.0, not 3"),
        (dict(objective="final"), "objective area, not final"),
        (dict(preset="toy", search=["lr=1..2"], overrides=[]), "pause = 0.5, not None"),
    ):
        given = dict(preset="walk", search=words, overrides=["pause=0.5"], minutes=2)
        wanted = SweepRequest(**{**given, **changes}).plan()  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="choose another folder") as error:
            merged(plan, wanted, tmp_path)
        assert match in str(error.value)
    more = SweepRequest("walk", words, ["pause=0.5"], minutes=2, trials=80, jobs=2).plan()
    assert merged(plan, more, tmp_path) == more


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(steps=None), "needs a budget"),
        (dict(search=[]), "at least one option"),
        (dict(search=["lenght=2..40"]), "did you mean 'length'"),
        (dict(overrides=["length=4"]), "length is both searched and set"),
        (dict(overrides=["seed=4"]), "--seed, --minutes and --steps"),
        (dict(overrides=["pause"]), "--set takes words such as"),
        (dict(trials=0), "trials"),
        (dict(minutes=0.0), "minutes"),
        (dict(preset="wlak"), "Did you mean 'walk'"),
        (dict(preset="ppo/tile-cpu"), "Did you mean 'tiles-cpu'"),
        (dict(sampler="cmaes"), "--sampler cmaes needs cmaes: pip install cmaes"),
    ],
)
def test_requests_that_make_no_sense(changes: dict[str, object], match: str) -> None:
    words = {"preset": "walk", "search": ["length=2..40"], "steps": 100}
    with pytest.raises(MarioEnvkitError) as error:
        SweepRequest(**{**words, **changes}).plan()  # type: ignore[arg-type]
    assert match in str(error.value)


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = SweepRequest("walk", ["length=2..9"], ["rom=a.nes"], steps=9).plan()
    assert plan.overrides == {"rom": str(tmp_path / "a.nes")}


def test_options_that_do_not_go_together() -> None:
    plan = SweepRequest("ppo/tiles-cpu", ["lr=1e-4..1e-2:log"], steps=100).plan()
    draws = try_draws(plan)  # the preset has lr_min = 1e-3
    assert 0.3 < draws.invalid < 0.7
    assert "ppo needs lr_min <= lr" in draws.why
    assert draws.options["lr"] >= 1e-3
    plan = SweepRequest("ppo/tiles-cpu", ["network=small,nature"], steps=100).plan()
    with pytest.raises(OptionError, match=r"none can be trained: .* sees pixels only"):
        try_draws(plan)


# -- trials ------------------------------------------------------------------------------------


def test_trials_are_pruned_and_the_best_is_found(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, short_is_good, trials=10, startup=2)
    results = sweep.run()
    assert [result.name for result in results] == [f"trial-{i:03d}" for i in range(10)]
    trials = read_trials(sweep.study, sweep.plan, sweep.layout)
    assert len(trials) == 10
    assert [trial.seed for trial in trials] == list(range(10))
    for trial in trials:
        if trial.values["length"] < 12:
            assert (trial.state, trial.objective) == ("finished", pytest.approx(1.0))
            assert len(results[int(trial.name[-3:])].points) == EVALUATIONS
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        assert trial.share == 0.25
        assert trial.so_far == pytest.approx(0.2)
    best = best_of(trials)
    assert best is not None
    assert best.values["length"] < 12
    # The study says the same, for whoever opens it with Optuna.
    assert sweep.study.best_value == pytest.approx(1.0)


def test_the_first_trial_has_the_presets_own_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mario_agents.sweep import runner

    sweep = Sweep(tmp_path, short_is_good, trials=2)
    monkeypatch.setattr("mario_agents.experiments.process.Child", sweep.launch)
    monkeypatch.setattr("mario_agents.experiments.runner.NAP_SECONDS", 0.0)
    runner.run_trials(sweep.plan, sweep.layout)
    first, second = read_trials(sweep.study, sweep.plan, sweep.layout)
    assert (first.baseline, first.values, first.state) == (True, {"length": 5}, "finished")
    assert not second.baseline
    runner.run_trials(sweep.plan, sweep.layout)  # nothing is left to do
    assert sweep.launch.runs == ["trial-000", "trial-001"]


def test_a_trial_that_was_cut_off_is_tried_again(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, short_is_good, trials=3)
    sweep.finish(sweep.begin())
    job = sweep.begin()
    sweep.go_on(job)
    (running,) = sweep.trials._running.values()
    values = dict(running.trial.params)
    running.lock.close()  # what the system does when the command is killed

    other = Sweep(tmp_path, short_is_good, trials=3)
    assert other.trials.waiting == 2
    states = [trial.state for trial in read_trials(other.study, other.plan, other.layout)]
    assert states == ["finished", "cut off"]
    assert not other.study.get_trials(states=(TrialState.RUNNING,))
    again = other.begin()
    assert again.cell.name == job.cell.name
    assert again.cell.options == job.cell.options
    assert again.cell.options["length"] == values["length"]
    other.finish(again)
    other.run()
    trials = read_trials(other.study, other.plan, other.layout)
    assert [trial.name for trial in trials] == ["trial-000", "trial-001", "trial-002"]
    assert {trial.state for trial in trials} <= {"finished", "pruned"}
    (failed,) = other.study.get_trials(states=(TrialState.FAIL,))
    assert failed.params == values
    # Whoever comes next does not try it again.
    assert Sweep(tmp_path, short_is_good, trials=3).trials.waiting == 0


def test_what_was_finished_is_told_and_not_done_again(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, short_is_good, trials=1)
    job = sweep.begin()
    while job.poll() is None:
        pass
    for running in sweep.trials._running.values():  # killed before it could tell
        running.lock.close()
    other = Sweep(tmp_path, short_is_good, trials=1)
    other.run()
    assert other.launch.runs == []
    (trial,) = read_trials(other.study, other.plan, other.layout)
    assert (trial.name, trial.state) == ("trial-000", "finished")


def test_a_command_that_is_stopped_leaves_nothing_running(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, short_is_good, trials=2)
    job = sweep.begin()
    sweep.go_on(job)
    sweep.trials.close()
    assert [t.state for t in sweep.study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]
    (trial,) = read_trials(sweep.study, sweep.plan, sweep.layout)
    assert (trial.name, trial.state) == ("trial-000", "cut off")


def test_the_same_draws_after_the_same_results(tmp_path: Path) -> None:
    def drawn(folder: str) -> list[object]:
        sweep = Sweep(tmp_path / folder, short_is_good, trials=5, startup=3)
        sweep.run()
        return [t.values for t in read_trials(sweep.study, sweep.plan, sweep.layout)]

    first = drawn("a")
    assert first == drawn("b")
    assert len({str(values) for values in first}) > 3


def test_trials_that_fail_are_replaced_until_too_many_do(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "a", lambda o: None if o["length"] % 4 == 0 else 1.0, trials=8)
    sweep.run()
    trials = read_trials(sweep.study, sweep.plan, sweep.layout)
    failed = [trial for trial in trials if trial.state == "failed"]
    assert len(trials) - len(failed) == 8
    assert failed
    assert all(trial.error == "mario-agents: no luck." for trial in failed)
    sweep = Sweep(tmp_path / "b", lambda o: None)
    with pytest.raises(RunError, match=r"last 3 trials failed, .* no luck\. See .*output\.log"):
        sweep.run()


def test_trials_that_never_evaluate_have_failed_which_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretend, "EVALUATIONS", 0)
    sweep = Sweep(tmp_path, short_is_good)
    with pytest.raises(RunError, match=r"3 trials failed, most recently with: It left no evalua"):
        sweep.run()


def test_values_that_do_not_go_together_take_no_run(tmp_path: Path) -> None:
    sweep = Sweep(
        tmp_path, lambda o: 0.5, preset="ppo/tiles-cpu", search=["lr=1e-4..1e-2:log"], trials=5
    )
    sweep.run()
    results = results_of(sweep.plan, sweep.layout, sweep.study)
    assert len(results.trials) == len(sweep.launch.runs) == 5
    assert results.invalid > 0
    assert all(trial.values["lr"] >= 1e-3 for trial in results.trials)


def test_the_objective_at_the_end_comes_from_the_standard(tmp_path: Path) -> None:
    sweep = Sweep(
        tmp_path, short_is_good, objective="final", episodes=8, trials=2, search=["length=5,20"]
    )
    sweep.run()
    found = {
        trial.values["length"]: trial.objective
        for trial in read_trials(sweep.study, sweep.plan, sweep.layout)
    }
    assert found[5] == 1.0
    assert found.get(20, 0.25) == 0.25  # two of eight


# -- what is left behind -------------------------------------------------------------------------


def test_files(tmp_path: Path) -> None:
    sweep = Sweep(
        tmp_path, short_is_good, search=["length=2..40", "lr=1e-3..1e-1:log"], trials=8, startup=2
    )
    sweep.run()
    results = results_of(sweep.plan, sweep.layout, sweep.study)
    assert set(results.importances) == {"length", "lr"}
    assert sum(results.importances.values()) == pytest.approx(1.0)
    text = publish(sweep.layout, sweep.study, results)
    assert (tmp_path / "table.md").read_text() == text
    rows = [line for line in text.splitlines() if line.startswith("| trial-")]
    assert len(rows) == 8
    assert str(results.best) in rows[0]
    assert "pruned at 25%" in text
    lines = list(csv.DictReader(StringIO((tmp_path / "results.csv").read_text())))
    assert [line["name"] for line in lines] == [trial.name for trial in results.trials]
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["best"] == results.best
    for name in ("history", "importances", "slices"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()
    page = sweep.layout.page.read_text()
    assert page.count("data:image/svg+xml") == 3
    assert page.count("<tr>") == 9
    assert "<script" not in page


def test_the_best_trial_is_a_preset(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, short_is_good, overrides=["pause=0.25"], trials=4)
    sweep.run()
    results = results_of(sweep.plan, sweep.layout, sweep.study)
    publish(sweep.layout, sweep.study, results)
    preset = read_preset(sweep.layout.best)
    best = next(trial for trial in results.trials if trial.name == results.best)
    assert preset == preset_for("walk", str(sweep.layout.best))
    assert isinstance(preset, Preset)
    assert preset.options == {"pause": 0.25, **best.values, "total_steps": STEPS}
    assert (preset.trainer, preset.name) == ("walk", "sweep")
    assert f"{best.objective:.3f}" in preset.measured
    assert "one run" in preset.measured
    assert "luckiest" in preset.measured
    assert list(read_options(sweep.layout.best)) == [
        "trainer", "name", "description", "measured", "options",
    ]  # fmt: skip
    make_config(ToyConfig, preset.options, source="best")
    with pytest.raises(ConfigError, match="a preset of the trainer 'walk', not of 'ppo'"):
        preset_for("ppo", str(sweep.layout.best))


def test_nothing_has_finished_yet(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, short_is_good)
    results = results_of(sweep.plan, sweep.layout, sweep.study)
    text = publish(sweep.layout, sweep.study, results)
    assert "none yet" in text
    assert "No trial has finished yet" in sweep.layout.page.read_text()
    assert not sweep.layout.best.exists()


def test_a_damaged_storage_is_told_of(tmp_path: Path) -> None:
    layout = SweepLayout(tmp_path)
    layout.storage.write_bytes(b"no database, " * 200)
    with pytest.raises(RunError, match=r"sweep\.db cannot be read or written: file is not a"):
        open_study(layout.storage)


def test_any_path_will_do(tmp_path: Path) -> None:
    layout = SweepLayout(tmp_path / "50% {of} a?b#c")
    layout.path.mkdir()
    open_study(layout.storage)
    assert layout.storage.exists()


@pytest.mark.parametrize(("losses", "failed"), [(1, 0), (MOST_LOSSES, 1)])
def test_a_trial_whose_machine_is_lost_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: int, failed: int
) -> None:
    """But not for ever: it may be what they die of."""
    monkeypatch.setattr(runner, "NAP_SECONDS", 0.0)
    sweep = Sweep(tmp_path / "s", short_is_good, trials=2, pruner="none")
    sweep.launch.losses = losses
    run_jobs(sweep.trials, 1, "again", lambda slot, jobs: sweep.launch)
    sweep.trials.close()
    found = read_trials(sweep.study, sweep.plan, sweep.layout)
    assert [trial.state for trial in found] == ["failed"] * failed + ["finished"] * 2
    assert sweep.launch.runs == ["trial-000"] * losses + [
        f"trial-{number:03d}" for number in range(failed, failed + 2)
    ]
    if failed:
        assert found[0].error == f"{MOST_LOSSES} machines were lost while they worked on it."
