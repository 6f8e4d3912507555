"""``mario-agents sweep``: what it refuses, and whole sweeps that are stopped, killed and shared."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from mario_agents.experiments.plan_file import write_plan
from mario_agents.sweep import optuna_study
from mario_agents.sweep.optuna_study import open_study
from mario_agents.sweep.plan import SweepLayout, read_sweep
from mario_agents.sweep.request import SweepRequest
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("toy")

# Random play gets through a corridor of nine places at most: longer ones are never learned.
WORDS = (
    "sweep", "walk", "--search", "length=2..40", "--steps", "640", "--startup", "2",
    "--set", "eval_interval=64", "eval_episodes=2", "pause=0.4", "checkpoint_interval=640",
    "--out", "s",
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--out", "s"], "There is no sweep in s; begin one with TRAINER, --search"),
        (["--out", "s", "--show"], "There is no sweep in s"),
        (["--out", "s", "--trials", "4"], "There is no sweep in s"),
        (["--out", "s", "--search", "lr=1..2"], "Name what to search around"),
        (["walk", "--out", "s", "--search", "lr=1..2"], "needs a budget"),
        (["walk", "--out", "s", "--steps", "9"], "at least one option"),
        (["walk", "--out", "s", "--steps", "9", "--search", "lr=2..1"], "is empty"),
        (["ppo", "--out", "s", "--steps", "9", "--search", "network=small,nature"],
         "sees pixels only"),
        (["toy", "--out", "s", "--steps", "9", "--search", "lr=1..2", "--set", "device=cuda:7"],
         "cuda:7"),
    ],
)  # fmt: skip
def test_refusals(cli: Any, words: list[str], match: str) -> None:
    refused = cli("sweep", *words)
    assert refused.returncode == 2, refused.stderr
    assert match in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not Path("s").exists()


def test_a_sentence_names_the_extra(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_study, "_installed", lambda package: False)
    refused = cli("sweep", "--out", "s")
    assert refused.returncode == 2
    assert "pip install 'mario-envkit[sweep]'" in refused.stderr


def test_another_space_needs_another_folder(cli: Any) -> None:
    plan = SweepRequest("walk", ["length=2..40"], steps=100).plan()
    Path("s").mkdir()
    write_plan(Path("s/sweep.json"), plan)
    refused = cli("sweep", "walk", "--search", "length=2..50", "--steps", 100, "--out", "s")
    assert refused.returncode == 2
    assert "begun with space length=2..40, not length=2..50" in refused.stderr
    assert read_sweep(Path("s/sweep.json")) == plan
    refused = cli("report", "s", "s")
    assert refused.returncode == 2
    assert "name its folder alone" in refused.stderr


@pytest.fixture
def layout(tmp_path: Path, cli_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> SweepLayout:
    for name, value in cli_env.items():
        monkeypatch.setenv(name, value)
    return SweepLayout(tmp_path / "s")


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mario_agents.cli", *WORDS, *more], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def states(layout: SweepLayout) -> list[TrialState]:
    return [trial.state for trial in open_study(layout.storage).get_trials()]


@pytest.mark.slow
def test_a_sweep_is_stopped_and_killed_and_goes_on(
    cli: Any, tmp_path: Path, layout: SweepLayout
) -> None:
    first = start(tmp_path, "--trials", "6")
    try:
        until(layout.cell("trial-000").run_files.evaluations_path.exists)
    finally:
        first.send_signal(signal.SIGINT)
    _, told = first.communicate()
    assert first.returncode == 130, told
    assert "Continue with: mario-agents sweep --out s" in told
    assert states(layout) == [TrialState.FAIL, TrialState.WAITING]

    second = start(tmp_path, "--trials", "6")
    try:
        until(layout.cell("trial-001").run_files.evaluations_path.exists)
    finally:
        os.killpg(second.pid, signal.SIGKILL)
        second.communicate()
    assert states(layout).count(TrialState.RUNNING) == 1
    # Its child notices that it is alone, saves and ends.
    log = layout.cell("trial-001").run_files.log_path
    until(lambda: "Stopped by a signal" in log.read_text())
    shown = cli("sweep", "--out", "s", "--show")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"trial-001 .* cut off", shown.stdout)

    done = cli("sweep", "--out", "s")
    assert done.returncode == 0, done.stderr
    assert "trial-001: begins with length" in done.stderr
    assert "trial-000: begins" not in done.stderr
    results = json.loads((layout.path / "results.json").read_text())
    found = {trial["name"]: trial["state"] for trial in results["trials"]}
    assert list(found) == [f"trial-{i:03d}" for i in range(6)]
    assert set(found.values()) == {"finished", "pruned"}
    assert TrialState.RUNNING not in states(layout)
    for trial in results["trials"]:
        assert trial["steps"] == 640 if trial["state"] == "finished" else trial["steps"] < 640

    again = cli(*WORDS)
    assert again.returncode == 0, again.stderr
    assert ": begins" not in again.stderr
    page = cli("report", "s")
    assert page.returncode == 0, page.stderr
    assert "All trials" in layout.page.read_text()
    trained = cli("train", "walk", "--preset", "s/best.yaml", "--run-dir", "run",
                  "--total-steps", 64, "--pause", 0)  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    best = next(trial for trial in results["trials"] if trial["name"] == results["best"])
    stored = json.loads(Path("run/config.json").read_text())["config"]
    assert stored["length"] == best["values"]["length"]


@pytest.mark.slow
def test_two_commands_share_a_sweep(tmp_path: Path, layout: SweepLayout) -> None:
    both = [start(tmp_path, "--trials", "4") for _ in range(2)]
    told = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    begun = re.findall(r"(trial-\d+): begins", "".join(told))
    assert sorted(begun) == [f"trial-{i:03d}" for i in range(4)]
    assert all(": begins" in words for words in told)
    done = (TrialState.COMPLETE, TrialState.PRUNED)
    assert all(state in done for state in states(layout))


@pytest.mark.slow
def test_when_one_of_two_is_killed_the_other_does_its_trial(
    tmp_path: Path, layout: SweepLayout
) -> None:
    both = [start(tmp_path, "--trials", "3") for _ in range(2)]
    try:
        for name in ("trial-000", "trial-001"):
            until(layout.cell(name).run_files.weights_path.parent.exists)
    finally:
        os.killpg(both[0].pid, signal.SIGKILL)
        both[0].communicate()
    _, told = both[1].communicate()
    assert both[1].returncode == 0, told
    found = states(layout)
    assert TrialState.RUNNING not in found
    done = [state for state in found if state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(done) == 3
