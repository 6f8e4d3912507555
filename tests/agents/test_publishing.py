"""Agents for others: exported, sent to a model hub, fetched from it, played."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mario_agents import zoo
from mario_agents.acting.environments import make_vector
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.algos.ppo.trainer import TRAINER
from mario_agents.commands.stored_run import StoredRun
from mario_agents.config import TrainConfig, absolute_paths
from mario_agents.experiments.cell_result import progress_of
from mario_agents.publishing.card import rows_of
from mario_agents.publishing.export import digest, export_agent, training_of
from mario_agents.run import RunDir, read_weights
from mario_agents.run.records import read_standard
from mario_agents.runtime.initial import read_initial
from mario_envkit.errors import ConfigError, RunError
from tests.agents import command_runs, trained_run
from tests.agents.model_hub import ModelHub, running_hub


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run, with paths of this machine among its options."""
    config = PPOConfig(
        num_envs=4, rollout_steps=16, minibatch_size=32, total_steps=128, hidden=16, ui=False,
        eval_interval=0, seed=3,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("runs") / "run"
    trained_run.train(TRAINER, config, path, name="ppo")
    stored = json.loads((path / "config.json").read_text())
    stored["config"]["init"] = str(path.parent / "secret")
    (path / "config.json").write_text(json.dumps(stored))
    return path


def actions(path: Path) -> np.ndarray:
    """What the agent of a run does in 60 steps of two games."""
    run = StoredRun.open(path)
    policy = run.trainer.load_policy(run.config, run.directory.path, device="cpu", weights="best")
    envs = make_vector(run.trainer.env_kwargs(run.config), 2)
    obs, _ = envs.reset(seed=0)
    policy.reset(2)
    chosen = []
    for _ in range(60):
        chosen.append(policy.act(obs, greedy=True))
        obs = envs.step(chosen[-1])[0]
    envs.close()
    return np.array(chosen)


def test_an_export_plays_as_the_run_does(learned: Path, tmp_path: Path) -> None:
    agent = export_agent(RunDir.open(learned), tmp_path / "agent", weights="best", dtype="float32")
    trained_run.assert_equal(
        trained_run.weights(agent.path, "best"), trained_run.weights(learned, "best")
    )
    assert np.array_equal(actions(agent.path), actions(learned))
    assert sorted(path.name for path in agent.path.iterdir()) == ["best.safetensors", "config.json"]
    assert "secret" not in (agent.path / "config.json").read_text()
    assert read_weights(agent, "best")[1]["step"] == "128"
    steps, seconds = training_of(agent)
    assert (steps, seconds) == progress_of(RunDir.open(learned)), "beside it are no rows"
    assert steps == 128
    assert seconds is not None
    again = export_agent(agent, tmp_path / "again", weights="best", dtype="bfloat16")
    assert training_of(again) == (steps, seconds)
    with pytest.raises(RunError, match="not empty; choose another one with --out"):
        export_agent(RunDir.open(learned), agent.path, weights="best", dtype="float32")


def test_half_of_the_space(learned: Path, tmp_path: Path) -> None:
    run = RunDir.open(learned)
    whole = export_agent(run, tmp_path / "whole", weights="latest", dtype="float32")
    half = export_agent(run, tmp_path / "half", weights="latest", dtype="bfloat16")
    assert half.best_path.stat().st_size < 0.6 * whole.best_path.stat().st_size
    assert digest(half) != digest(whole)
    for name, tensor in trained_run.weights(half.path, "best").items():
        exact = trained_run.weights(learned)[name]
        assert torch.equal(tensor, exact.bfloat16() if exact.is_floating_point() else exact)
    assert actions(half.path).shape == (60, 2)


def test_a_new_run_begins_with_an_export(learned: Path, tmp_path: Path) -> None:
    agent = export_agent(RunDir.open(learned), tmp_path / "agent", weights="best", dtype="bfloat16")
    config = PPOConfig(
        num_envs=4, rollout_steps=16, minibatch_size=32, total_steps=64, hidden=16, ui=False,
        eval_interval=0, lr=1e-12, lr_min=1e-12, init=str(agent.path),
    )  # fmt: skip
    trained_run.train(TRAINER, config, tmp_path / "next", name="ppo")
    before = trained_run.weights(agent.path, "best")
    for name, tensor in trained_run.weights(tmp_path / "next").items():
        torch.testing.assert_close(tensor, before[name].to(tensor.dtype), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_command_measures_films_and_describes(learned: Path, cli, tmp_path: Path) -> None:
    words = ("--dtype", "bfloat16", "--episodes", "2", "--name", "Little <Mario>")
    done = cli("export", learned, "--out", "agent", *words)
    assert done.returncode == 0, done.stderr
    agent = RunDir.open(tmp_path / "agent")
    card = (agent.path / "README.md").read_text()
    rows = rows_of(read_standard(agent.standard_path)) if agent.standard_path.is_file() else []
    assert "# Little <Mario>" in card
    assert digest(agent) in card
    assert "secret" not in card
    assert "128 agent steps" in card
    for row in rows:
        assert f"| {row.level} | {row.condition} | {row.wins} of {row.episodes} |" in card
    assert (agent.path / "videos" / "episode.mp4").stat().st_size > 1000
    assert cli("eval", "agent", "--quick").returncode == 0


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    pytest.importorskip("huggingface_hub")
    with running_hub() as running:
        yield running


def test_to_a_hub_and_back(learned: Path, hub: ModelHub, cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    agent = export_agent(RunDir.open(learned), tmp_path / "agent", weights="best", dtype="float32")
    (agent.path / "README.md").write_text("---\nlicense: mit\n---\n# An agent\n")
    (agent.path / "notes.txt").write_text("of nobody's business")
    done = cli("push", "agent", "me/mario", "--endpoint", hub.endpoint)
    assert done.returncode == 0, done.stderr
    assert f"{hub.endpoint}/me/mario" in done.stdout
    assert sorted(hub.repos["me/mario"]) == ["README.md", "best.safetensors", "config.json"]
    # Whatever somebody else put there beside it.
    hub.repos["me/mario"] |= {"evil.py": b"raise SystemExit", "best.pkl": b"cos\nsystem\n"}
    done = cli("pull", "me/mario", "--endpoint", hub.endpoint)
    assert done.returncode == 0, done.stderr
    fetched = tmp_path / "mario"
    found = {path.name for path in fetched.iterdir() if not path.name.startswith(".")}
    assert found == {"README.md", "best.safetensors", "config.json"}
    assert np.array_equal(actions(fetched), actions(learned))
    again = cli("pull", "me/mario", "--endpoint", hub.endpoint)
    command_runs.assert_refused(again, "mario is not empty; choose another one with --out")


def test_a_hub_that_refuses(hub: ModelHub, cli, tmp_path: Path, learned: Path) -> None:
    done = cli("pull", "me/nothing", "--endpoint", hub.endpoint)
    command_runs.assert_refused(done, "me/nothing", hub.endpoint)
    command_runs.assert_refused(cli("pull", "a/b/c", "--endpoint", hub.endpoint), "a/b/c")
    (tmp_path / "empty").mkdir()
    command_runs.assert_refused(
        cli("push", "empty", "me/x", "--endpoint", hub.endpoint), "is not a run"
    )
    nobody = "http://127.0.0.1:9"
    export_agent(RunDir.open(learned), tmp_path / "agent", weights="best", dtype="float32")
    for words in (("pull", "me/x"), ("push", "agent", "me/x")):
        command_runs.assert_refused(cli(*words, "--endpoint", nobody), nobody)


def test_the_zoo(learned: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(zoo, "AGENTS", tmp_path)
    export_agent(RunDir.open(learned), tmp_path / "1-1", weights="best", dtype="float32")
    assert zoo.names() == ["1-1"]
    named = Path("zoo:1-1")
    assert RunDir.open(named).path == tmp_path / "1-1"
    assert np.array_equal(actions(named), actions(learned))
    assert read_initial(named).path == tmp_path / "1-1" / "best.safetensors"
    stored = absolute_paths(PPOConfig(init="zoo:1-1"))
    assert stored.init == str(tmp_path / "1-1")
    assert zoo.is_shipped(tmp_path / "1-1")
    assert not zoo.is_shipped(tmp_path.parent)
    with pytest.raises(RunError, match="no agent 'zoo:1-2' in the zoo; did you mean 'zoo:1-1'"):
        RunDir.open(Path("zoo:1-2"))
    with pytest.raises((RunError, ConfigError), match="'mario-agents zoo' lists them"):
        absolute_paths(PPOConfig(init="zoo:nobody"))


def test_what_ships_is_whole_small_and_says_what_it_is() -> None:
    assert zoo.names()
    size = sum(path.stat().st_size for path in zoo.AGENTS.rglob("*") if path.is_file())
    assert size < 10 << 20
    for name in zoo.names():
        agent = StoredRun.open(Path(f"{zoo.PREFIX}{name}")).directory
        card = (agent.path / "README.md").read_text()
        assert digest(agent) in card
        for row in rows_of(read_standard(agent.standard_path)):
            assert f"| {row.level} | {row.condition} | {row.wins} of {row.episodes} |" in card
        measured = json.loads(agent.standard_path.read_text())
        assert measured["agent"]["files"]["best.safetensors"] == digest(agent)
        options = json.loads((agent.path / "config.json").read_text())["config"]
        assert not any(options.get(name) for name in TrainConfig.PATHS), "paths of a machine"
        for file in (agent.path / "config.json", agent.standard_path):
            assert str(Path.home()) not in file.read_text()


def test_what_ships_plays_without_any_run(cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    before = command_runs.digest(zoo.AGENTS)
    for name in zoo.names():
        (first, *_) = read_standard(zoo.AGENTS / name / "eval.json")
        words = ("--levels", first, "--episodes", "5", "--conditions", "greedy-plain", "--json")
        done = cli("eval", f"{zoo.PREFIX}{name}", *words)
        assert done.returncode == 0, done.stderr
        (level,) = json.loads(done.stdout)["levels"].values()
        wins = sum(level["greedy-plain"]["episodes"]["success"])
        assert wins >= 3, f"{name}, which cleared at least 92 of 100"
    done = cli("zoo")
    assert all(f"zoo:{name} " in done.stdout for name in zoo.names())
    assert "…" not in done.stdout, "what does not fit into 80 columns"
    done = cli("record", "zoo:1-1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "episode-1.mp4").is_file()
    assert command_runs.digest(zoo.AGENTS) == before
