"""The check of a GPU, on a machine without one."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_envkit.plugins import available_trainers, load_trainer
from tests.gpu.__main__ import MINUTES, main
from tests.gpu.command import CLOSING
from tests.gpu.host import ROOT, Result, place_in
from tests.gpu.job import Check, CheckFailed, Found, Job
from tests.gpu.learning_parts import SameNoise
from tests.gpu.options import LEARNING, MEASURED, SMALL, fields_of
from tests.gpu.plan import OURS, SLOWER_CPU, Machine, chosen, plan, seconds_for
from tests.gpu.runner import Run

HERE = "tests.gpu.test_gpu"
CPU = Machine("cpu", cores=2, most=2)
H100 = Machine("cuda", cores=16, most=39)


def fine(job: Job, number: int) -> Found:
    assert not list(job.folder.iterdir())
    (job.folder / "file").touch()
    return Found("all is well", {"number": number, "measured": job.seconds, "pid": os.getpid()})


def wrong(job: Job) -> Found:
    return Found("", {"loss": 2.0}, ["The loss is another one.", "So are gradients."])


def refused(job: Job) -> Found:
    raise CheckFailed("There is no such device.")


def broken(job: Job) -> Found:
    print("on the way")
    raise KeyError("weights")


def killed(job: Job) -> Found:
    print("nearly there", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hanging(job: Job) -> Found:
    while True:
        time.sleep(0.1)


def run(*checks: Check, seconds: float = 240.0) -> dict[str, Result]:
    told: list[Result] = []
    results = Run(CPU, time.monotonic() + seconds, told.append).run(checks)
    assert told == results
    assert [result.check.name for result in results] == [check.name for check in checks]
    return {result.check.name: result for result in results}


def check_of(function: Any, seconds: float = 10.0, name: str = "", **arguments: Any) -> Check:
    target = f"{HERE}:{function.__name__}"
    return Check(name or function.__name__, target, arguments, seconds, None, 1.5)


@pytest.mark.slow
def test_whatever_a_check_does_the_others_are_made():
    found = run(
        check_of(fine, name="first", number=1),
        check_of(wrong),
        check_of(fine, name="same process", number=2),
        check_of(killed),
        check_of(broken),
        check_of(refused),
        check_of(hanging, seconds=0.2),
        check_of(fine, name="last", number=3),
    )
    assert {name: each.status for name, each in found.items()} == {
        "first": "ok", "wrong": "failed", "same process": "ok", "killed": "failed",
        "broken": "failed", "refused": "failed", "hanging": "hung", "last": "ok",
    }  # fmt: skip
    first, same, last = (found[name].figures for name in ("first", "same process", "last"))
    assert (first["number"], same["number"], last["number"]) == (1, 2, 3)
    assert last["measured"] == 1.5 * SLOWER_CPU
    assert first["pid"] == same["pid"] != last["pid"]
    assert found["wrong"].said == "The loss is another one. So are gradients."
    assert found["wrong"].figures == {"loss": 2.0}
    assert "status -9: nearly there" in found["killed"].said
    assert found["broken"].said == "KeyError: 'weights'"
    assert found["broken"].log[0] == "on the way"
    assert found["refused"].said == "There is no such device."
    assert 'File "tests/gpu/test_gpu.py", line' in found["hanging"].said
    assert not found["last"].log


@pytest.mark.slow
def test_what_there_is_no_time_for_is_not_run_and_what_runs_then_is_cut():
    (result,) = run(check_of(fine, number=1), seconds=0.0).values()
    assert result.status == "not run"
    assert result.said.startswith("out of time")
    found = run(check_of(hanging, seconds=1.0), check_of(fine, seconds=1.0, number=2), seconds=6.0)
    assert [each.status for each in found.values()] == ["not run", "not run"]
    assert "it was ended after" in found["hanging"].said


def test_six_minutes_are_enough_with_16_cores():
    checks = plan()
    assert seconds_for(checks, H100) <= 60 * MINUTES - CLOSING
    for word in ("losses", "run", "workers", "learn", "speed", "updates"):
        assert chosen(checks, [word])


def test_side_by_side_where_there_are_cores():
    checks = plan()
    both = chosen(checks, ["learn:ddqn"])
    longest = max(check.seconds for check in both)
    alone, two = seconds_for([], H100), H100._replace(cores=2)
    assert seconds_for(both, H100) == pytest.approx(alone + longest)
    assert seconds_for(both, two) == pytest.approx(alone + sum(check.seconds for check in both))
    assert [H100.slots(1.33), two.slots(1.33), CPU.slots(None)] == [12, 1, 1]
    assert H100._replace(most=3).slots(1.33) == 3  # of a GPU with little memory


def test_a_hang_costs_no_more_than_half_a_minute_beyond_the_budget():
    for check in plan():
        assert check.seconds < H100.limit(check) <= check.seconds + 30


def test_a_trace_says_where_it_hangs():
    text = (
        "something\nTimeout (0:00:09)!\nThread 0x01 (most recent call first):\n"
        f'  File "{ROOT}/mario_agents/x.py", line 1 in watch\n\n'
        "Thread 0x02 (most recent call first):\n"
        '  File "/lib/threading.py", line 5 in wait\n'
        f'  File "{ROOT}/mario_agents/a.py", line 7 in b\n'
    )
    assert place_in(text) == 'File "mario_agents/a.py", line 7 in b'


def test_tables_name_trainers_and_options_that_are_there():
    names = {each.name for each in available_trainers()}
    for name, options in [*SMALL.items(), *MEASURED.items()]:
        assert fields_of(load_trainer(name).config_class) >= set(options)
    assert {each.trainer for each in LEARNING.values()} | set(SMALL) | set(MEASURED) <= names


def test_every_trainer_is_checked_in_every_way_that_it_shares_and_every_network():
    checks = {check.name for check in plan()}
    for entry in available_trainers():
        if entry.target.startswith(OURS):
            shares = load_trainer(entry.name).algorithm.shares
            assert {f"workers:{entry.name}/{share}" for share in shares} <= checks
            speeds = {f"speed:{entry.name}/{seen}" for seen in ("tiles", "pixels")}
            assert {f"run:{entry.name}", *speeds} <= checks
    networks = {"tiles/mlp"} | {
        f"pixels/{name}" for name in ("small", "nature", "impala", "impala-large", "mlp")
    }
    for trainer in ("a3c", "apex", "ppo"):
        for kind in ("losses", "updates"):
            assert {f"{kind}:{trainer}/{network}" for network in networks} <= checks
    assert {f"updates:dreamer/{case}" for case in ("tiles", "pixels", "pixels/12m")} <= checks


def test_noise_of_every_device_is_the_cpu_s():
    torch.manual_seed(3)
    expected = [torch.randn(4), torch.empty(3).uniform_(), torch.ones(2, 3).multinomial(1)]
    torch.manual_seed(3)
    with SameNoise():
        drawn = [torch.randn(4), torch.empty(3).uniform_(), torch.ones(2, 3).multinomial(1)]
    assert all(map(torch.equal, expected, drawn))


def test_a_gpu_that_is_not_there(capsys: pytest.CaptureFixture[str]):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main(["--only", "losses"]) == 2
    assert "--device cpu" in capsys.readouterr().err
    assert main(["--only", "nothing"]) == 2
    assert "--list" in capsys.readouterr().err
    assert main(["--only", "losses:ppo/tiles", "--list"]) == 0
    assert "losses:ppo/tiles/mlp" in capsys.readouterr().out


@pytest.mark.slow
def test_a_part_of_it_on_the_cpu(tmp_path: Path):
    out = tmp_path / "found.json"
    only = ["losses:ppo/tiles", "workers:ppo", "speed:a3c/tiles", "updates:a3c/tiles"]
    assert main(["--device", "cpu", "--only", *only, "--minutes", "6", "--out", str(out)]) == 0
    document = json.loads(out.read_text())
    checks = document["checks"]
    assert {name: each["status"] for name, each in checks.items()} == {
        "losses:ppo/tiles/mlp": "ok", "workers:ppo/gradients": "ok",
        "speed:a3c/tiles": "ok", "updates:a3c/tiles/mlp": "ok",
    }  # fmt: skip
    assert checks["losses:ppo/tiles/mlp"]["figures"]["float32"]["loss"] == 0
    assert checks["speed:a3c/tiles"]["figures"]["steps/s"] > 0
    assert checks["updates:a3c/tiles/mlp"]["figures"]["eager"]["updates/s"] > 0
    assert document["seconds"] < 360


@pytest.mark.slow
def test_the_file_names_every_check_also_those_that_there_is_no_time_for(tmp_path: Path):
    out = tmp_path / "found.json"
    words = ["--device", "cpu", "--only", "graphs", "--minutes", "0.01", "--out", str(out)]
    assert main(words) == 1
    checks = json.loads(out.read_text())["checks"]
    assert {f"graphs:{name}" for name in ("a3c", "apex", "dreamer", "ppo")} == set(checks)
    assert {each["status"] for each in checks.values()} == {"not run"}
