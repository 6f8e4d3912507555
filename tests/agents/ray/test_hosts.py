"""Training on two hosts that share nothing but a slow link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mario_envkit.plugins import load_trainer
from tests.agents.ray.short_runs import (
    MORE_STEPS,
    TRAINERS,
    assert_learned,
    assert_resumed,
    options,
)
from tests.agents.ray.two_hosts import Hosts, two_hosts
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with two_hosts(site, tmp_path_factory.mktemp("hosts")) as hosts:
        yield hosts


@pytest.fixture
def hosts(pair: Hosts) -> Iterator[Hosts]:
    """They are there for all tests of this file."""
    yield pair
    pair.end_all()
    pair.assert_nothing_left()


def train(hosts: Hosts, folder: Path, *words: object) -> None:
    """To the end."""
    process = hosts.train(folder, *words)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_learns_on_two_hosts_over_a_slow_link_evaluates_and_goes_on(
    hosts: Hosts, name: str
) -> None:
    trainer = load_trainer(name)
    folder = hosts.folder / name
    folder.mkdir()
    (folder / "options.yaml").write_text(yaml.safe_dump(options(trainer, name, hosts.address)))
    lost = hosts.link.lost
    train(hosts, folder, name, "--config", "options.yaml", "--run-dir", "run")
    run = folder / "run"
    # There is room for one beside the learner: the other host, without the folder, sent its rows.
    assert f"is on {hosts.second.address}." in (run / "training.log").read_text()
    first = assert_learned(run)
    hosts.assert_nothing_left()
    train(hosts, folder, "--resume", "run", "--total-steps", first.step + MORE_STEPS)
    assert_resumed(run, first)
    assert hosts.link.lost > lost
