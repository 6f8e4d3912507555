"""Each chosen library, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conformance.environments import InstallError, can_install, python_with, versions
from tests.conformance.peers import INSIDE, PEERS, Peer

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_training_with(
    peer: Peer, pytestconfig: pytest.Config, capfd: pytest.CaptureFixture[str]
) -> None:
    assert can_install(), "peers are installed with pip: python -m ensurepip"
    assert pytestconfig.cache is not None
    try:
        python = python_with(peer, pytestconfig.cache.mkdir("conformance"))
    except InstallError as error:
        pytest.fail(str(error), pytrace=False)
    with capfd.disabled():
        print(f"\n{peer.name}: {versions(python, peer.distributions)}", flush=True)
    # Not the options of this run: PYTEST_ADDOPTS is for whoever reads its output.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["OMP_NUM_THREADS"] = "1"  # the networks are small: more threads only wait for one another
    command = [python, "-m", "pytest", peer.tests, "-p", "no:cacheprovider", "--durations=5"]
    done = subprocess.run(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    with capfd.disabled():
        print(done.stdout[-2000:] if done.returncode == 0 else done.stdout[-30_000:], flush=True)
    assert done.returncode == 0, f"the tests of {peer.tests.name} failed, see above"
    assert " skipped" not in done.stdout.splitlines()[-1], "a test of the peer was left out"


def test_every_file_of_tests_has_a_peer() -> None:
    """Files in ``inside`` are not collected by themselves, so that one could be forgotten."""
    files = {path.stem for path in INSIDE.glob("*.py")} - {"__init__", "conftest"}
    assert files == set(PEERS)
