"""The command line as people use it: exit status, messages, and what is left on the disk."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mario_agents.commands.option_groups import grouped_command_line
from mario_agents.commands.parsing import part_of
from mario_agents.commands.table import COMMANDS, command_line, dispatch
from mario_agents.commands.train import StartOptions
from mario_agents.config.train_config import GROUPS
from mario_agents.evaluation.conditions import CONDITIONS
from mario_agents.testing.toy import ToyConfig
from tests.agents.command_runs import assert_refused


def test_a_reader_may_leave_before_the_end(cli_env: dict[str, str]) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "mario_agents.cli", "presets"],
        env=cli_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.close()
    assert child.communicate()[1] == b""
    assert child.returncode == 141


# -- help -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_whole_life_in_processes_of_their_own(cli_process: Any) -> None:
    done = cli_process("train", "toy", "--run-dir", "run", "--total-steps", 30)
    assert done.returncode == 0
    assert done.stdout.startswith("Run directory: run\n")
    assert_refused(cli_process("train", "toy", "--run-dir", "run"), "is not empty")
    assert_refused(cli_process("train", "tpy"), "Did you mean 'toy'?")
    assert cli_process("train", "toy", "--lrr", 3).returncode == 2
    done = cli_process("eval", "run", "--episodes", 2)
    assert done.returncode == 0
    assert "greedy-plain          2/2  100.0%" in done.stdout
    assert_refused(cli_process("watch", "run"), "no display")


def test_help_names_every_command_and_each_explains_itself(cli: Any) -> None:
    listed = cli("--help")
    assert listed.returncode == 0
    assert "mario-agents train ppo --preset tiles-cpu" in listed.stdout
    for command in COMMANDS:
        assert f"• {command}" in listed.stdout
        done = cli(command, "--help")
        assert done.returncode == 0
        assert f"usage: mario-agents {command} " in done.stdout


def test_the_list_of_commands_waits_for_none_of_them(cli_env: dict[str, str]) -> None:
    code = (
        "import sys, mario_agents.cli as cli\n"
        "extra = {'torch', 'tyro', 'msgspec', 'yaml', 'rich', 'zmq', 'textual', 'matplotlib'}\n"
        "assert extra.isdisjoint(sys.modules)\n"
        "try:\n    cli.main(['--help'])\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "from mario_agents.commands.table import COMMANDS\n"
        "loaded = [c for c in COMMANDS if f'mario_agents.commands.{c}' in sys.modules]\n"
        "assert loaded == [], loaded\n"
        "assert {'torch', 'cv2', 'rich', 'zmq'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=cli_env, check=True, capture_output=True)


def test_train_help_lists_trainers_without_importing_them(cli: Any) -> None:
    done = cli("train", "--help")  # one of them cannot be imported
    assert done.returncode == 0
    assert "toy_trainer:TRAINER (toy-trainer 1.2)" in done.stdout
    assert "broken" in done.stdout
    listed = cli("trainers")
    assert listed.returncode == 0
    columns = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    assert ["toy", "toy_trainer:TRAINER", "(toy-trainer 1.2)"] in columns


def test_help_needs_no_torch(cli_env: dict[str, str]) -> None:
    code = (
        "import mario_agents.cli as cli, sys\n"
        "from mario_agents.commands.table import COMMANDS\n"
        "for words in (*([name, '--help'] for name in COMMANDS), ['trainers'], ['presets']):\n"
        "    try:\n        cli.main(words)\n"
        "    except SystemExit as stop:\n        assert stop.code == 0\n"
        "    assert {'torch', 'toy_trainer'}.isdisjoint(sys.modules), words"
    )
    subprocess.run([sys.executable, "-c", code], env=cli_env, check=True, capture_output=True)


def test_a_trainers_help_explains_every_option(cli: Any) -> None:
    done = cli("train", "toy", "--help")
    assert done.returncode == 0
    assert "Adds a number to a number." in done.stdout
    for text in ("--lr FLOAT", "How much the weight grows each step.", "--total-steps INT",
                 "--resume", "--config", "--run-dir", "(default: 0.5)"):  # fmt: skip
        assert text in done.stdout


def test_a_trainers_help_has_a_heading_for_each_group(cli: Any) -> None:
    shown = cli("train", "toy", "--help").stdout
    headings = ["start", *(group.HEADING for group in GROUPS), "toy"]
    parts = re.split(r"\n\W+(\w+) options\W+\n", shown)
    assert parts[1::2] == headings
    text = dict(zip(headings, parts[2::2], strict=True))
    for group in GROUPS:
        for field in dataclasses.fields(group):
            assert f"--{field.name.replace('_', '-')}" in text[group.HEADING]
    assert "--lr FLOAT" in text["toy"]


def test_a_help_text_is_one_paragraph_however_its_lines_are_broken_in_the_source() -> None:
    (field,) = dataclasses.fields(part_of(ToyConfig, ["level"], ""))
    assert "or an order of them: random (or all), sequential," in field.metadata["help"]


def test_options_of_a_trainer_that_knows_no_groups() -> None:
    @dataclasses.dataclass(frozen=True)
    class Bare:
        speed: int = 3

    words = ["--speed", "1e1", "--run-dir", "x"]
    bare = grouped_command_line(StartOptions, Bare(), name="bare", summary="")
    assert bare.parse(words) == Bare(10)
    named_as_a_group = grouped_command_line(StartOptions, ToyConfig(), name="game", summary="")
    assert named_as_a_group.parse(["--lr", "2", "--seed", "4"]) == ToyConfig(lr=2.0, seed=4)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_what_a_command_takes_is_what_it_parses_its_words_with(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = command_line(command)
    with pytest.raises(SystemExit) as by_itself:
        line.parse(["--help"])
    shown = capsys.readouterr()
    with pytest.raises(SystemExit) as by_the_command:
        dispatch([*line.name.split(), "--help"])
    assert capsys.readouterr() == shown
    assert by_itself.value.code == by_the_command.value.code == 0


def test_ddqn_has_the_options_of_distributed_training(cli: Any) -> None:
    done = cli("train", "ddqn", "--help")
    assert done.returncode == 0
    words = ("--workers --lr --lr-min --gamma --n-step --batch-size --buffer-size --collect-steps "
             "--accumulate-grads --max-staleness --no-synchronous --exploration --gradient-dtype "
             "--heartbeat-timeout --level --resume --no-ui --no-snapshots --config")  # fmt: skip
    assert [word for word in words.split() if f"{word} " not in done.stdout] == []
    assert "tiles-cpu; see mario-agents presets ddqn." in done.stdout


def test_a_missing_extra_is_explained(cli_env: dict[str, str]) -> None:
    code = (
        "import sys, importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name: None if name in ('torch', 'tyro') else find(name)\n"
        "import mario_agents.cli as cli\n"
        "sys.exit(cli.main(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=cli_env, capture_output=True, text=True)
    assert_refused(done, "not installed: torch, tyro", "pip install 'mario-envkit[agents]'")


# -- what works -------------------------------------------------------------------------------


def test_train_leaves_a_run(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "weights.safetensors", "checkpoint", "training.log",
            "worker_0.csv"} <= names  # fmt: skip
    log = (run / "training.log").read_text()
    assert "Training run\n" in log
    assert "Finished." in log


def test_default_run_directory(cli: Any, tmp_path: Path) -> None:
    done = cli("train", "toy", "--total-steps", 3)
    assert done.returncode == 0
    (path,) = (tmp_path / "runs").iterdir()
    assert path.name.startswith("toy-1-1-")
    assert f"Run directory: runs/{path.name}" in done.stdout


def test_the_command_line_wins_over_the_file(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("lr: 1e-2\ntotal_steps: 7\nseed: 3\n")
    done = cli("train", "toy", "--config", "options.yaml", "--lr", 2, "--run-dir", "run")
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (config["lr"], config["total_steps"], config["seed"]) == (2.0, 7, 3)


def test_whole_numbers_may_have_an_exponent(cli: Any, run: Path, tmp_path: Path) -> None:
    done = cli("train", "toy", "--total-steps", "2e1", "--run-dir", "small", "--seed", "1_0")
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "small" / "config.json").read_text())["config"]
    assert (config["total_steps"], config["seed"]) == (20, 10)
    done = cli("eval", run, "--episodes", "1e0", "--seed", "2e1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["standard"]["seed"] == 20
    for wrong in ("1.5", "1e-1", "many", "inf", "nan"):
        done = cli("train", "toy", "--total-steps", wrong, "--run-dir", "none")
        assert done.returncode == 2
        assert "Traceback" not in done.stderr + done.stdout
        assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_run_with_actions_and_levels_of_ones_own(cli: Any, tmp_path: Path) -> None:
    small = ("--num-envs", 2, "--rollout-steps", 4, "--hidden", 8, "--total-steps", "8",
             "--stall-limit", 4, "--eval-interval", 0, "--no-ui", "--lr", "1e-4")  # fmt: skip
    words = ("--actions", "right+A,left,noop", "--level", "all", "--run-dir", "run")
    done = cli("train", "ppo", *small, *words)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (config["actions"], config["level"]) == ("right+A,left,noop", "all")
    assert (config["lr_min"], config["minibatch_size"]) == (1e-4, 8)
    levels = ("--levels", "1-1..1-2", "full", "weighted:4-1..4-2", "--conditions", "greedy-plain")
    done = cli("eval", "run", "--episodes", 1, "--noop-max", 2, *levels, "--json")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["levels"]) == ["1-1", "1-2", "full", "weighted:4-1..4-2"]
    done = cli("record", "run", "--out", "a.mp4", "--noop-max", 2)
    assert done.returncode == 0, done.stderr
    done = cli("train", "--resume", "run", "--total-steps", "1.6e1")
    assert done.returncode == 0, done.stderr
    for wrong in ("simpel", "right+C"):
        refused = cli("train", "ppo", "--actions", wrong, "--run-dir", "none")
        assert_refused(refused, "or combinations of buttons such as 'right+A,left,noop'")
    assert_refused(cli("train", "ppo", "--level", "evry"), "There is no order of levels 'evry'")


@pytest.mark.parametrize("name", [[], ["toy"]])
def test_resume_continues(cli: Any, run: Path, name: list[str]) -> None:
    done = cli("train", *name, "--resume", run, "--total-steps", 50)
    assert done.returncode == 0, done.stderr
    steps = [line.split(",")[0] for line in (run / "worker_0.csv").read_text().splitlines()]
    assert steps == ["step", "10", "20", "30", "40", "50"]
    assert json.loads((run / "config.json").read_text())["config"]["total_steps"] == 50
    assert "weight 25" in done.stderr  # 50 steps of 0.5, not 20


def test_eval_prints_rates_and_intervals(cli: Any, run: Path, tmp_path: Path) -> None:
    done = cli("eval", run, "--episodes", 20, "--out", "result.json")
    assert done.returncode == 0, done.stderr
    assert "20 episodes each, from true starts" in done.stdout
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for condition in ("greedy-plain", "greedy-sticky"):
        assert f"1-1 {condition} 20/20 100.0% 83.9% to 100.0% 12.0 1 flag 20" in rows
    assert any(row.startswith("1-1 sampled-plain 20/20 100.0%") for row in rows)
    result = json.loads((tmp_path / "result.json").read_text())
    assert set(result["levels"]["1-1"]) == {
        "greedy-plain", "greedy-sticky", "greedy-frames",
        "sampled-plain", "sampled-sticky", "sampled-frames",
    }  # fmt: skip
    assert result["levels"]["1-1"]["sampled-plain"]["distinct"] > 10


def test_eval_json(cli: Any, run: Path) -> None:
    done = cli("eval", run, "--quick", "--conditions", "sampled-sticky", "--seed", 9, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["standard"] == {"episodes": 10, "sticky": 0.25, "noop_max": 30, "seed": 9}
    assert list(result["levels"]["1-1"]) == ["sampled-sticky"]
    measured = result["levels"]["1-1"]["sampled-sticky"]
    assert measured["protocol"] == {
        "episodes": 10, "greedy": False, "sticky": 0.25, "noop_max": 30, "seed": 9,
        "per_frame": False,
    }  # fmt: skip
    assert {len(column) for column in measured["episodes"].values()} == {10}
    assert result["agent"]["trainer"] == "toy"
    assert result["on"] == "mario-envkit"


def test_only_the_whole_standard_is_kept_for_reports(cli: Any, run: Path) -> None:
    stored = run / "eval.json"
    for words in (["--conditions", "greedy-plain"], ["--episodes", 20], ["--sticky", 0.5]):
        done = cli("eval", run, *words)
        assert done.returncode == 0, done.stderr
        assert not stored.exists()
        assert f"Not kept in {stored}" in done.stderr
        assert "100 episodes under each of 6 conditions" in done.stderr
    done = cli("eval", run, "--quick")
    assert (done.returncode, done.stderr) == (0, "")  # whoever asks for that knows
    assert not stored.exists()
    done = cli("eval", run, "--seed", 3)
    assert (done.returncode, done.stderr) == (0, "")
    kept = json.loads(stored.read_text())
    measured = kept["levels"]["1-1"]
    counts = {name: len(result["episodes"]["success"]) for name, result in measured.items()}
    assert counts == dict.fromkeys(CONDITIONS, 100)
    before = stored.read_bytes()
    assert cli("eval", run, "--conditions", "sampled-plain").returncode == 0
    assert stored.read_bytes() == before


def test_eval_of_levels(cli: Any, run: Path) -> None:
    assert_refused(cli("eval", run, "--quick", "--levels", "1-1", "1-2"), "has no level '1-2'")
    assert_refused(cli("eval", run, "--levels", "9-1"), "9-1")
    assert_refused(cli("eval", run, "--levels", "1-1,1-1"), "name 1-1 twice")
    done = cli("eval", run, "--quick", "--levels", "1-1")
    assert done.returncode == 0, done.stderr


def test_eval_on_another_package_needs_an_environment_of_it(cli: Any, run: Path) -> None:
    words = ("eval", run, "--quick", "--on", "gym-super-mario-bros")
    assert_refused(cli(*words), "only those for MarioTrain-v0")


def test_record_writes_a_video(cli: Any, run: Path) -> None:
    import imageio.v2 as imageio

    for name in ("episode-1.mp4", "episode-2.mp4"):  # the second does not replace the first
        done = cli("record", run)
        assert done.returncode == 0, done.stderr
        assert f"videos/{name} (13 frames" in done.stdout
        pictures = [*iter(imageio.get_reader(run / "videos" / name).iter_data())]
        assert len(pictures) == 13
        assert pictures[-1][:, :40].mean() > pictures[0].mean() + 50  # the toy walks right
    assert len(os.listdir(run / "videos")) == 2
