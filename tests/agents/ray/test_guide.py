"""The commands of the guide to clusters, as they are printed, on two hosts that share no files.

What is put in for the reader's own is the address of ``HEAD``, the token, and the home folder of
``me``. Runs are shorter: the program ``mario-agents`` here adds a budget to what it is given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import read_bench
from mario_agents.experiments.cell_result import read_result
from mario_agents.run import CheckpointStore
from mario_agents.sweep.optuna_study import open_study
from mario_agents.sweep.plan import SweepLayout
from tests.agents.ray.conftest import ROOT
from tests.agents.ray.own_trainer import install
from tests.agents.ray.two_hosts import Host, Hosts, two_hosts
from tests.docs.markdown import PAGES, Document
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

PAGE = Document(PAGES / "how-to" / "cluster.md")
STEPS, MORE_STEPS = 512, 1024
EVALUATIONS = f"eval_interval={STEPS} eval_episodes=1"
AGENTS = f"""#!/bin/bash
RUN=$(ls -td runs/*/ 2>/dev/null | head -n 1)
set -- "${{@//runs\\/RUN/$RUN}}"
case "$1 $2" in
    "train --resume") set -- "$@" --total-steps {MORE_STEPS} ;;
    train*) set -- "$@" --total-steps {STEPS} --device cpu --eval-interval 0 ;;
    bench*) set -- "$@" --seeds 0 --steps {STEPS} --episodes 1 ;;
    sweep*) set -- "$@" --trials 2 --steps {STEPS} --set lr_min=1e-4 {EVALUATIONS} ;;
esac
exec {sys.executable} -m mario_agents.cli "$@"
"""
RAY = f"""#!/bin/bash
exec {sys.executable} -m ray.scripts.scripts "$@"
"""


class Shell:
    """A terminal on a host: what one command exports, the next one has."""

    def __init__(self, host: Host, folder: Path, words: dict[str, str]) -> None:
        self._host, self.folder, self._words = host, folder, words
        self._exports = folder / "exports"
        folder.mkdir(exist_ok=True)
        self._exports.touch()

    def run(self, text: str) -> str:
        """Run commands; returns what they print."""
        for word, ours in self._words.items():
            text = text.replace(word, ours)
        script = f"set -e\nsource {self._exports}\n{text}\nexport -p > {self._exports}\n"
        process = self._host.begin(self.folder, "bash", "-c", script)
        output, errors = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, (text, output[-2000:], errors[-2000:])
        assert "Traceback" not in errors
        return output


def printed(word: str, language: str = "bash") -> str:
    """The one block of the page that has this word."""
    (found,) = [each for each in PAGE.blocks if each.language == language and word in each.text]
    return found.text


@dataclass
class Guide:
    """Two hosts that are a cluster, and a terminal on the first."""

    hosts: Hosts
    first: Shell
    home: Path

    @property
    def folder(self) -> Path:
        return self.first.folder

    def step(self, trainer: str) -> int:
        """Of the one run of a trainer."""
        (run,) = self.folder.glob(f"runs/{trainer}-*")
        return CheckpointStore(run / "checkpoint").load_latest().step


@pytest.fixture(scope="module")
def pages_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    """The hosts become a cluster as the page says."""
    folder = tmp_path_factory.mktemp("guide")
    programs, home = folder / "bin", folder / "me"
    programs.mkdir()
    for name, text in {"mario-agents": AGENTS, "ray": RAY}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    os.symlink(sys.executable, programs / "python")
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    with two_hosts(folder, {"PATH": path, "PYTHONPATH": str(ROOT)}) as hosts:
        words = {"HEAD": hosts.first.address, "/home/me": str(home)}
        first = Shell(hosts.first, hosts.folder / "first", words)
        first.run(printed("--head"))
        token = first.run("echo $RAY_AUTH_TOKEN").strip()
        assert len(token) == 64
        words = {**words, "AUTH_TOKEN=...": f"AUTH_TOKEN={token}"}
        Shell(hosts.second, folder / "second", words).run(printed("start --address"))
        yield Guide(hosts, first, home)


@pytest.fixture
def guide(pages_cluster: Guide) -> Iterator[Guide]:
    yield pages_cluster
    pages_cluster.hosts.assert_nothing_left()


def test_every_block_of_commands_is_run_here() -> None:
    assert sum(block.language == "bash" for block in PAGE.blocks) == 6


def test_a_run_with_a_cluster_of_its_own(guide: Guide) -> None:
    guide.first.run(printed("train ppo"))
    assert guide.step("ppo") >= STEPS


def test_a_run_on_both_hosts_which_is_resumed(guide: Guide) -> None:
    """With fewer workers than are asked for: there are four CPUs."""
    guide.first.run(printed("train apex"))
    assert guide.step("apex") >= MORE_STEPS
    (log,) = guide.folder.glob("runs/apex-*/training.log")
    assert f"is on {guide.hosts.second.address}." in log.read_text()


def test_a_bench_and_a_sweep(guide: Guide) -> None:
    guide.first.run(printed("bench learn"))
    bench = BenchLayout(guide.folder / "benches" / "first")
    results = [read_result(bench.cell(cell.name)) for cell in read_bench(bench.plan).cells]
    assert [result and result.status for result in results] == ["finished", "finished"]
    sweep = SweepLayout(guide.folder / "sweeps" / "first")
    trials = open_study(sweep.storage).get_trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE"]


def test_a_trainer_that_only_this_host_has(guide: Guide) -> None:
    """It goes on, too, on the cluster that this host is a node of."""
    install(guide.home)
    modules = printed("py_modules", "yaml").replace("/home/me", str(guide.home))
    (guide.folder / "env.yaml").write_text(modules)
    mine = f"export PYTHONPATH={guide.home}:$PYTHONPATH"
    guide.first.run(f"{mine}\n{printed('train my_trainer')}")
    assert guide.step("my_trainer") >= STEPS
    guide.first.run(f"{mine}\nmario-agents train --resume runs/RUN --address auto")
    assert guide.step("my_trainer") >= MORE_STEPS
