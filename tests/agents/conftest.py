"""The toy trainer as an installed distribution, and a way to call the command line."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from mario_agents.cli import main
from mario_envkit.curriculum.runs import Run, run_path
from mario_envkit.curriculum.search import solve
from mario_envkit.emulator import native
from tests.agents.living_run import LivingRun, Start
from tests.waiting import PATIENCE

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Networks this small take a hundred times as long where threads fight for the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def played_runs() -> list[Run]:
    """Two ways through 1-1 that an agent can play."""
    if not native.is_available():
        pytest.skip("the native core is not built here")
    return [solve("1-1", seed=seed, frame_skip=4, actions="simple")[0] for seed in (0, 1)]


@pytest.fixture
def runs_folder(tmp_path: Path, played_runs: list[Run]) -> Path:
    """A folder with their files."""
    for number, run in enumerate(played_runs, start=1):
        run.save(run_path(tmp_path, run.level, number=number))
    return tmp_path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on the module path, is an installed distribution with three trainers."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(HERE / "toy_trainer.py", folder)
    info = folder / "toy_trainer-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-trainer\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[mario_envkit.trainers]\n"
        "toy = toy_trainer:TRAINER\n"
        "walk = mario_agents.testing.toy:TRAINER\n"
        "cue = tests.agents.cue_trainer:TRAINER\n"
        "broken = toy_trainer_that_is_not_there:TRAINER\n"
    )
    return folder


@pytest.fixture(scope="session")
def cli_env(site: Path) -> dict[str, str]:
    """Environment variables under which the command line finds the toy, and no display."""
    path = os.pathsep.join([str(site), str(ROOT)])
    hidden = {"DISPLAY", "WAYLAND_DISPLAY"}
    inherited = {key: value for key, value in os.environ.items() if key not in hidden}
    return {**inherited, "PYTHONPATH": path, "COLUMNS": "100", "SDL_VIDEODRIVER": ""}


@pytest.fixture(scope="session")
def toy(site: Path) -> Iterator[None]:
    """The toy as a distribution that is installed for this process."""
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(site))


@pytest.fixture
def cli(
    toy: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    """Runs ``mario-agents`` in this process, in a temporary working directory.

    A process of its own would import torch anew for each of many short commands.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        words = list(map(str, args))
        capsys.readouterr()
        try:
            status = main(words)
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, status, out, err)

    return run


@pytest.fixture(scope="session")
def trained_toy(toy: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the toy, which nobody may change."""
    folder = tmp_path_factory.mktemp("toy")
    words = ("--run-dir", "run", "--total-steps", "30", "--checkpoint-interval", "10")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "toy", *words]) == 0
    return folder / "run"


@pytest.fixture
def run(cli: Cli, trained_toy: Path, tmp_path: Path) -> Path:
    """A finished run of the toy, named ``run``, in the working directory of ``cli``."""
    return Path(shutil.copytree(trained_toy, tmp_path / "run"))


@pytest.fixture
def cli_process(tmp_path: Path, cli_env: dict[str, str]) -> Cli:
    """Runs ``mario-agents`` in a process of its own, in a temporary working directory."""

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mario_agents.cli", *map(str, args)]
        return subprocess.run(
            command, cwd=tmp_path, env=cli_env, capture_output=True, text=True, timeout=PATIENCE
        )

    return run


@pytest.fixture
def start(cli_env: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts runs with worker processes, which have ended with the test."""
    runs: list[LivingRun] = []
    temporary = Path(tempfile.mkdtemp(prefix="run"))

    def start(*words: object, workers: int = 1, trainer: str = "walk") -> LivingRun:
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        common = ("--workers", workers, "--run-dir", "run", "--checkpoint-interval", 1000,
                  "--log-interval", 500, "--device", "cpu")  # fmt: skip
        runs.append(LivingRun(folder, temporary, cli_env, trainer, *common, *words))
        return runs[-1]

    yield start
    for run in runs:
        run.close()
    shutil.rmtree(temporary, ignore_errors=True)
