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
from tests.gpu.__main__ import main
from tests.gpu.job import Check, CheckFailed, Found, Job
from tests.gpu.learning_parts import SameNoise
from tests.gpu.options import LEARNING, MEASURED, SMALL, fields_of
from tests.gpu.plan import plan
from tests.gpu.runner import BUDGET_CPU, ROOT, Result, Run, place_in

HERE = "tests.gpu.test_gpu"


def fine(job: Job, number: int) -> Found:
    (job.folder / "file").touch()
    return Found("all is well", {"number": number, "budget": job.seconds})


def wrong(job: Job) -> Found:
    raise CheckFailed("The loss is another one.")


def broken(job: Job) -> Found:
    print("on the way")
    raise KeyError("weights")


def killed(job: Job) -> Found:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hanging(job: Job) -> Found:
    while True:
        time.sleep(0.1)


def run(*checks: Check, seconds: float = 240.0) -> list[Result]:
    told: list[Result] = []
    results = Run("cpu", seconds, told.append).run(checks)
    assert told == results
    return results


def check_of(function: Any, seconds: float = 60.0, **more: Any) -> Check:
    name = function.__name__
    return Check(name, f"{HERE}:{name}", more.pop("arguments", {}), seconds, **more)


@pytest.mark.slow
def test_whatever_a_check_does_the_others_are_made():
    results = run(
        check_of(wrong),
        check_of(broken),
        check_of(killed),
        check_of(hanging, seconds=2.0),
        check_of(fine, arguments={"number": 3}, budget=1.5, alone=True),
    )
    found = {each.check.name: each for each in results}
    assert {name: each.status for name, each in found.items()} == {
        "wrong": "failed", "broken": "failed", "killed": "failed", "hanging": "hung", "fine": "ok"
    }  # fmt: skip
    assert found["wrong"].said == "The loss is another one."
    assert found["broken"].said == "KeyError: 'weights'"
    assert "on the way" in found["broken"].log
    assert "status -9" in found["killed"].said
    assert "not done" in found["hanging"].said
    assert found["fine"].figures == {"number": 3, "budget": 1.5 * BUDGET_CPU}
    assert not found["fine"].log


def test_a_check_without_time_is_not_begun():
    (result,) = run(check_of(fine, arguments={"number": 1}), seconds=0.0)
    assert result.status == "no time"
    assert "--minutes" in result.said


def test_a_trace_says_where_it_hangs(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(
        "something\nTimeout (0:00:09)!\nThread 0x01 (most recent call first):\n"
        f'  File "{ROOT}/mario_agents/x.py", line 1 in watch\n\n'
        "Thread 0x02 (most recent call first):\n"
        '  File "/lib/threading.py", line 5 in wait\n'
        f'  File "{ROOT}/mario_agents/a.py", line 7 in b\n'
    )
    assert place_in(log) == 'File "mario_agents/a.py", line 7 in b'


def test_tables_name_trainers_and_options_that_are_there():
    names = {each.name for each in available_trainers()}
    for name, options in [*SMALL.items(), *MEASURED.items()]:
        assert fields_of(load_trainer(name).config_class) >= set(options)
    assert {each.trainer for each in LEARNING.values()} | set(SMALL) | set(MEASURED) <= names


def test_every_trainer_is_checked_in_every_way_that_it_shares():
    checks = {check.name for check in plan()}
    for entry in available_trainers():
        if entry.target.startswith("mario_agents."):
            shares = load_trainer(entry.name).algorithm.shares
            assert {f"workers:{entry.name}-{share}" for share in shares} <= checks
            assert {f"{kind}:{entry.name}" for kind in ("run", "speed")} <= checks


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


@pytest.mark.slow
def test_a_part_of_it_on_the_cpu(tmp_path: Path):
    out = tmp_path / "found.json"
    words = ["--device", "cpu", "--only", "workers:ppo", "speed:a3c", "--minutes", "4"]
    assert main([*words, "--out", str(out)]) == 0
    checks = json.loads(out.read_text())["checks"]
    assert {name: each["status"] for name, each in checks.items()} == {
        "workers:ppo-gradients": "ok", "speed:a3c": "ok"
    }  # fmt: skip
    assert checks["speed:a3c"]["figures"]["tiles"]["steps/s"] > 0
