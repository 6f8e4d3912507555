"""Commands that are stopped before they have trained, while their processes import."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.living_run import LivingRun, processes_with
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm"),
    pytest.mark.slow,
]
NEVER_IMPORTED = """
import sys, time

class Endless:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            open("importing", "w").close()
            time.sleep(3600)

if any("forkserver" in word for word in sys.orig_argv):
    sys.meta_path.insert(0, Endless())
"""


@pytest.fixture
def run(cli_env: dict[str, str], tmp_path: Path) -> Iterator[LivingRun]:
    """A run that waits for a server that imports for an hour, and has its shared memory already."""
    site, temporary = tmp_path / "site", Path(tempfile.mkdtemp(prefix="run"))
    site.mkdir()
    (site / "sitecustomize.py").write_text(NEVER_IMPORTED)
    path = os.pathsep.join([str(site), cli_env["PYTHONPATH"]])
    words = ("walk", "--workers", 2, "--run-dir", "run", "--device", "cpu")
    run = LivingRun(tmp_path, temporary, {**cli_env, "PYTHONPATH": path}, *words)
    try:
        run.until(lambda: (tmp_path / "importing").exists() and len(run.segments) == 3)
        yield run
    finally:
        run.close()
        shutil.rmtree(temporary, ignore_errors=True)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_command_at_once(
    run: LivingRun, number: signal.Signals, status: int
) -> None:
    run.process.send_signal(number)
    ended, errors = run.end()
    assert ended == status
    assert errors == "mario-agents: stopped. Nothing was trained; remove run, and start again.\n"
    run.assert_nothing_left()


def test_the_server_ends_with_a_command_that_is_killed(run: LivingRun) -> None:
    run.process.kill()
    until(lambda: not processes_with(run.token), told=lambda: processes_with(run.token))
