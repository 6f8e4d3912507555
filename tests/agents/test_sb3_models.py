"""Models of Stable-Baselines3: what they do here is what they do there, and no pickle is loaded."""

from __future__ import annotations

import base64
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="pip install 'mario-envkit[test]' brings it")

from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.policies import ActorCriticCnnPolicy

from mario_agents.evaluation.sb3 import load_sb3
from mario_envkit.errors import AgentError, BackendUnavailable
from mario_envkit.integrations.sb3 import make_vec_env
from tests.agents.command_runs import assert_refused

GAME: dict[str, Any] = {"screen_size": 36, "frame_stack": 2}
TILES: dict[str, Any] = {"observation": "tiles", "frame_stack": 2}
COLOURS: dict[str, Any] = {"screen_size": 36, "grayscale": False, "frame_stack": 1}
OBSERVATIONS = 16


class OwnPolicy(ActorCriticCnnPolicy):
    """A policy of somebody's own."""


def saved(
    path: Path, kind: type[Any], policy: Any, game: dict[str, Any], **options: Any
) -> tuple[Any, np.ndarray[Any, Any]]:
    """A model with random weights in a file, and observations of many games."""
    envs = make_vec_env("MarioTrain-v0", OBSERVATIONS, seed=0, level="1-1", **game)
    model = kind(policy, envs, seed=1, device="cpu", **options)
    model.save(path)
    observations = envs.reset()
    for _ in range(12):
        observations = envs.step(np.arange(OBSERVATIONS) % 7)[0]
    envs.close()
    return model, observations


SMALL = {"PPO": {"n_steps": 2, "batch_size": 2}, "A2C": {}, "DQN": {"buffer_size": 10}}


@pytest.mark.parametrize(
    ("kind", "policy", "game", "options"),
    [
        (PPO, "CnnPolicy", GAME, {}),
        (PPO, "CnnPolicy", COLOURS, {}),
        (
            PPO, "MlpPolicy", TILES,
            {"policy_kwargs": {"net_arch": {"pi": [9], "vf": [8]}, "activation_fn": torch.nn.ELU}},
        ),
        (A2C, "MlpPolicy", TILES, {"policy_kwargs": {"net_arch": [16]}}),
        (
            DQN, "CnnPolicy", GAME,
            {"policy_kwargs": {"features_extractor_kwargs": {"features_dim": 8}}},
        ),
    ],
)  # fmt: skip
def test_it_plays_as_it_does_there(
    tmp_path: Path, kind: Any, policy: str, game: dict[str, Any], options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "model.zip"
    model, observations = saved(path, kind, policy, game, **SMALL[kind.__name__], **options)
    expected = model.predict(observations, deterministic=True)[0]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle was loaded")

    monkeypatch.setattr("cloudpickle.loads", refuse)
    agent = load_sb3(path, {"level": "1-1", **game}, device="cpu")
    assert agent.name == f"model ({kind.__name__})"
    agent.policy.reset(OBSERVATIONS)
    assert agent.policy.act(observations, greedy=True).tolist() == expected.tolist()
    logits = model.policy.obs_to_tensor(observations)[0]
    if kind is not DQN:
        with torch.no_grad():
            drawn = agent.policy._policy.get_distribution(logits).distribution.probs
            there = model.policy.get_distribution(logits).distribution.probs
        assert torch.equal(drawn, there)
        draws = {tuple(agent.policy.act(observations, greedy=False)) for _ in range(5)}
        assert len(draws) > 1


def test_dqn_samples_as_it_explored(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    model, observations = saved(path, DQN, "MlpPolicy", TILES, buffer_size=10)
    best = model.predict(observations, deterministic=True)[0]
    rewritten(path, lambda data: data.update(exploration_rate=0.5))
    policy = load_sb3(path, {"level": "1-1", **TILES}, device="cpu").policy
    others = np.mean([policy.act(observations, greedy=False) != best for _ in range(200)])
    assert abs(others - 0.5 * 6 / 7) < 0.05  # one in seven draws is the best action again


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the JSON in a model's file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(members["data"])
    change(data)
    members["data"] = json.dumps(data).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.path, "sprung"))


def test_pickles_are_loaded_only_if_trusted(tmp_path: Path) -> None:
    path, sprung = tmp_path / "model.zip", tmp_path / "sprung"
    saved(path, PPO, "MlpPolicy", TILES, **SMALL["PPO"])
    poison = base64.b64encode(pickle.dumps(Trap(sprung))).decode()

    def poisoned(data: dict[str, Any]) -> None:
        for value in data.values():
            if isinstance(value, dict) and ":serialized:" in value:
                value[":serialized:"] = poison

    rewritten(path, poisoned)
    load_sb3(path, {"level": "1-1", **TILES}, device="cpu")
    assert not sprung.exists()
    with pytest.raises(AgentError, match="does not say what its policy is"):
        load_sb3(path, {"level": "1-1", **TILES}, trust_pickle=True, device="cpu")
    assert sprung.read_text() == "sprung"


def test_weights_are_no_place_for_pickles_either(tmp_path: Path) -> None:
    path, sprung = tmp_path / "model.zip", tmp_path / "sprung"
    saved(path, PPO, "MlpPolicy", TILES, **SMALL["PPO"])
    torch.save({"action_net.weight": Trap(sprung)}, tmp_path / "policy.pth")
    with zipfile.ZipFile(path) as archive:
        data = archive.read("data")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", data)
        archive.write(tmp_path / "policy.pth", "policy.pth")
    for trust in (False, True):
        with pytest.raises(AgentError, match=r"is no model of Stable-Baselines3"):
            load_sb3(path, {"level": "1-1", **TILES}, trust_pickle=trust, device="cpu")
    assert not sprung.exists()


def test_a_policy_of_ones_own(cli: Any, tmp_path: Path) -> None:
    model, observations = saved(tmp_path / "own.zip", PPO, OwnPolicy, GAME, **SMALL["PPO"])
    words = ("eval", "--sb3", "own.zip", "--screen-size", 36, "--frame-stack", 2)
    refused = cli(*words, "--quick")
    assert_refused(refused, "loading a pickle runs whatever code", "--trust-pickle")
    words += ("--device", "cpu", "--episodes", 1, "--conditions", "greedy-plain", "sampled-plain")
    done = cli(*words, "--trust-pickle", "--stall-limit", 10, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["agent"]["kind"] == "sb3"
    assert list(result["agent"]["files"]) == ["own.zip"]
    assert result["env"]["screen_size"] == 36
    agent = load_sb3(tmp_path / "own.zip", {"level": "1-1", **GAME}, trust_pickle=True)
    expected = model.predict(observations, deterministic=True)[0]
    assert agent.policy.act(observations, greedy=True).tolist() == expected.tolist()


def test_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    saved(path, PPO, "CnnPolicy", GAME, **SMALL["PPO"])
    with pytest.raises(AgentError, match=r"of shape \(2, 36, 36\), and these are \(4, 84, 84\)"):
        load_sb3(path, {})
    with pytest.raises(AgentError, match="from 7 actions, and there are 12"):
        load_sb3(path, {**GAME, "actions": "complex"})
    with pytest.raises(AgentError, match="do not fit CnnPolicy of DQN"):
        load_sb3(path, GAME, algorithm="DQN")
    rewritten(path, lambda data: data.update(policy_kwargs={"net_arc": [3]}))
    with pytest.raises(AgentError, match="net_arc"):
        load_sb3(path, GAME)


def test_what_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with pytest.raises(AgentError, match="cannot be read"):
        load_sb3(path, GAME)
    path.write_bytes(b"PK rubbish")
    with pytest.raises(AgentError, match="is no model of Stable-Baselines3"):
        load_sb3(path, GAME)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(AgentError, match="is no model of Stable-Baselines3"):
        load_sb3(path, GAME)


def test_other_algorithms(tmp_path: Path) -> None:
    path = tmp_path / "sac.zip"
    SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, device="cpu").save(path)
    with pytest.raises(AgentError, match=r"none of PPO, A2C, DQN, RecurrentPPO: .*actor"):
        load_sb3(path, GAME)


def test_recurrent_models_need_their_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.zip"
    saved(path, PPO, "MlpPolicy", TILES, **SMALL["PPO"])
    monkeypatch.setitem(__import__("sys").modules, "sb3_contrib", None)
    with pytest.raises(BackendUnavailable, match="pip install sb3-contrib"):
        load_sb3(path, TILES, algorithm="RecurrentPPO")


def test_recurrent_models_remember(tmp_path: Path) -> None:
    contrib = pytest.importorskip("sb3_contrib", reason="pip install sb3-contrib")
    path = tmp_path / "model.zip"
    model, observations = saved(
        path, contrib.RecurrentPPO, "MlpLstmPolicy", TILES, n_steps=2, batch_size=2
    )
    agent = load_sb3(path, {"level": "1-1", **TILES}, device="cpu")
    assert agent.name == "model (RecurrentPPO)"
    for _ in range(2):  # the second time from the beginning again
        agent.policy.reset(OBSERVATIONS)
        state, begins = None, np.ones(OBSERVATIONS, bool)
        for number in range(4):
            seen = np.roll(observations, number, axis=0)
            expected, state = model.predict(
                seen, state=state, episode_start=begins, deterministic=True
            )
            begins[:] = False
            assert agent.policy.act(seen, greedy=True).tolist() == expected.tolist()
