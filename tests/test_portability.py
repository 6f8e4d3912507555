"""Nothing needs POSIX to be imported, and all but worker processes works without it.

A process that pretends to be on Windows (:mod:`tests.pretend_windows`) imports everything, and
trains.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pretend_windows import is_missing, missing_names
from tests.waiting import PATIENCE

pytest.importorskip("mypy", reason="its stubs say what Windows lacks")
ROOT = Path(__file__).parent.parent
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="pretends to be on Windows")


def test_what_windows_lacks_is_known() -> None:
    assert {"poll", "epoll"} <= missing_names("select")
    assert {"getuid", "fork", "killpg", "pread", "sched_getaffinity", "nice"} <= missing_names("os")
    assert {"SIGHUP", "SIGKILL", "pthread_sigmask"} <= missing_names("signal")
    assert {"AF_UNIX"} <= missing_names("socket")
    assert not {"open", "replace", "cpu_count", "fsync"} & missing_names("os")
    assert [name for name in ("fcntl", "_posixshmem", "resource", "termios", "os", "mmap")
            if is_missing(name)] == ["fcntl", "_posixshmem", "resource", "termios"]  # fmt: skip


BEGIN = """
import sys
from pathlib import Path
from tests.pretend_windows import pretend
pretend(Path.cwd())
"""


def windows(folder: Path, script: str) -> Any:
    """What a script prints last, as JSON, in a process that pretends to be on Windows."""
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", BEGIN + script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


IMPORT_ALL = """
import importlib, json, pkgutil, mario_envkit, mario_agents
names = []
for package in (mario_envkit, mario_agents):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        # What runs in another process only, and begins to work when it is imported.
        if not module.name.endswith((".__main__", ".preloaded")):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name.partition(".")[0] not in ("optuna", "ray", "wandb"):
                    raise
            names.append(module.name)
print(json.dumps(names))
"""


@needs_linux
@pytest.mark.slow
def test_every_module_can_be_imported(tmp_path: Path) -> None:
    assert len(windows(tmp_path, IMPORT_ALL)) > 200


TRAIN = """
import json
from contextlib import redirect_stderr
from io import StringIO
from mario_agents.cli import main

def command(*words):
    told = StringIO()
    with redirect_stderr(told):
        status = main(words)
    return status, told.getvalue()

small = ["--level", "1-1", "--observation", "tiles", "--frame-stack", "1", "--num-envs", "4",
         "--device", "cpu", "--log-interval", "100", "--checkpoint-interval", "100",
         "--eval-interval", "200", "--eval-episodes", "1", "--stall-limit", "60"]
told = {
    "refused": command("train", "ppo", "--run-dir", "other", "--workers", "2", *small),
    "train": command("train", "ppo", "--run-dir", "run", "--total-steps", "400", *small,
                     "--rollout-steps", "25", "--minibatch-size", "50"),
    "resume": command("train", "--resume", "run", "--total-steps", "600"),
    "eval": command("eval", "run", "--episodes", "2", "--out", "run/eval-of-two.json"),
    "monitor": command("monitor", "run"),
    "report": command("report", "run"),
    "record": command("record", "run"),
}
print(json.dumps(told))
"""
FORBIDDEN = set('<>:"\\|?*')
"""Characters that no name of a file has on Windows."""


@needs_linux
@pytest.mark.slow
def test_a_run_without_worker_processes(tmp_path: Path) -> None:
    told = windows(tmp_path, TRAIN)
    refused, sentence = told.pop("refused")
    assert refused == 2
    assert sentence == (
        "mario-agents: Worker processes need POSIX shared memory, which this system does not have: "
        "train with --workers 0, where one process plays --num-envs games at a time, or in a Linux "
        "container or the Windows Subsystem for Linux.\n"
    )
    assert {name: status for name, (status, _) in told.items()} == dict.fromkeys(told, 0), told
    run = tmp_path / "run"
    log = (run / "training.log").read_text(encoding="utf-8")
    assert "WARNING" not in log, log
    for name in ("weights.safetensors", "best.safetensors", "eval-of-two.json", "report.html"):
        assert (run / name).stat().st_size > 0
    assert [
        path for path in run.rglob("*") if FORBIDDEN & set(path.name) or path.suffix == ".tmp"
    ] == []
    # The checkpoints that the resumed run began with were removed in their turn.
    assert len(list((run / "checkpoint").glob("*.json"))) == 3


LOCK = """
import json
from mario_agents.run.lock import sole
from mario_envkit.errors import RunBusy
from mario_envkit.files import locked, replace_text

path = Path("run.lock")
with sole(path, "held by {}"):
    with locked(Path("x")):
        replace_text(Path("x"), "one")
    try:
        with sole(path, "held by {}"):
            told = "nobody"
    except RunBusy as error:
        told = str(error)
with sole(path, "held by {}"), Path("x").open("rb"):
    try:
        replace_text(Path("x"), "two")
        refused = False
    except PermissionError:
        refused = True
print(json.dumps([told, refused, Path("x").read_text(encoding="utf-8")]))
"""


@needs_linux
def test_locks_and_files_that_are_open(tmp_path: Path) -> None:
    told, refused, text = windows(tmp_path, LOCK)
    assert told.startswith("held by process ")
    assert (refused, text) == (True, "one")
    assert [path.name for path in tmp_path.glob(".*.tmp")] == []


INTERRUPT = """
import json, signal
from mario_agents.child_entry import interrupt_when_alone
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, if tests run in the background
try:
    interrupt_when_alone()
    for _ in range(1000): pass
    print(json.dumps("goes on"))
except KeyboardInterrupt:
    print(json.dumps("interrupted"))
"""


@needs_linux
def test_a_child_of_a_bench_is_interrupted_not_ended(tmp_path: Path) -> None:
    assert windows(tmp_path, INTERRUPT) == "interrupted"
