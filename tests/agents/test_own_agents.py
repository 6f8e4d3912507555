"""Agents of anybody's, measured by ``mario-agents eval --agent``: on the toy, and in the game."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mario_agents.commands.eval import COMMAND_LINE, EvalOptions
from mario_agents.evaluation.agents import BatchPolicy, load_agent
from mario_agents.evaluation.baselines import BASELINES, RunRightAgent
from mario_agents.evaluation.standard import Standard, evaluate_levels
from mario_envkit.errors import AgentError, UnknownArgument
from tests.agents.command_runs import assert_refused

TOY = {"id": "toy_trainer:Toy-v0"}
AGENTS = '''
import numpy as np
from beside import RIGHT

class Walker:
    """Goes right when greedy, and stands still otherwise; remembers what it was told."""
    env_kwargs = {"id": "toy_trainer:Toy-v0"}

    def __init__(self, action_space):
        assert action_space.n == 2
        self.begun = []

    def reset(self, num_envs):
        self.begun.append(num_envs)

    def act(self, observations, greedy):
        assert observations.shape[1:] == (4,)
        return np.full(len(observations), RIGHT if greedy else 0)

def walk(observations):
    return [RIGHT] * len(observations)
walk.env_kwargs = Walker.env_kwargs

def make():
    return walk
make.env_kwargs = Walker.env_kwargs

class Plain:
    act = staticmethod(walk)
    files = ("weights.bin",)
plain = Plain()
plain.env_kwargs = Walker.env_kwargs

class Needy:
    env_kwargs = Walker.env_kwargs
    def __init__(self, path, size=3): ...

class Lost:
    files = ("nowhere.bin",)
    env_kwargs = Walker.env_kwargs
    act = staticmethod(walk)

number = 3

class Confused:
    env_kwargs = ["level", "1-1"]
'''


@pytest.fixture
def agents(toy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of agents for the toy, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/")  # undoes, at the end, what loading agents adds to the path
    (tmp_path / "beside.py").write_text("RIGHT = 1\n")
    (tmp_path / "weights.bin").write_bytes(b"weights")
    file = tmp_path / "my_agents.py"
    file.write_text(AGENTS)
    return file


@pytest.mark.parametrize("name", ["Walker", "walk", "make", "plain"])
def test_whatever_has_actions_for_observations_is_an_agent(
    cli: Any, agents: Path, name: str
) -> None:
    words = ("--episodes", 3, "--conditions", "greedy-plain", "sampled-plain", "--json")
    done = cli("eval", "--agent", f"my_agents.py:{name}", *words)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    wins = {
        condition: sum(measured["episodes"]["success"])
        for condition, measured in result["levels"]["1-1"].items()
    }
    sampled = 0 if name == "Walker" else 3
    assert wins == {"greedy-plain": 3, "sampled-plain": sampled}
    assert result["agent"]["name"] == name
    assert result["agent"]["kind"] == "python"
    digest = hashlib.sha256(agents.read_bytes()).hexdigest()
    expected = {"my_agents.py": digest}
    if name == "plain":
        expected["weights.bin"] = hashlib.sha256(b"weights").hexdigest()
    assert result["agent"]["files"] == expected


def test_a_module_in_the_working_directory(cli: Any, agents: Path) -> None:
    words = ("--episodes", 2, "--conditions", "greedy-plain", "--name", "mine", "--out", "a.json")
    done = cli("eval", "--agent", "my_agents:walk", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mine (python)\n2 episodes each")
    assert json.loads(Path("a.json").read_text())["agent"]["name"] == "mine"


def test_an_agent_is_told_when_games_begin(agents: Path) -> None:
    agent = load_agent("my_agents.py:Walker", {})
    policy = agent.policy
    assert isinstance(policy, BatchPolicy)
    evaluate_levels(
        policy, agent.env_kwargs, Standard(episodes=7), conditions=["greedy-plain"], max_envs=3
    )
    assert policy._reset is not None
    assert policy._reset.__self__.begun == [3, 3, 3]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("my_agents.py", "There is no agent 'my_agents.py'; give FILE.py:NAME"),
        ("rnd", "one of random, run-right"),
        ("none.py:Agent", "There is no file none.py"),
        ("no_such_module:Agent", "No module named 'no_such_module'"),
        ("my_agents.py:Wlker", "has nothing named 'Wlker'; it has"),
        ("my_agents.py:number", "it has no act(observations)"),
        ("my_agents.py:Needy", "cannot be made without path;"),
        ("my_agents.py:Lost", "nowhere.bin, which the agent my_agents.py:Lost is made of"),
        ("my_agents.py:Confused", "must be a dictionary of keyword arguments"),
        ("broken.py:Agent", "cannot be imported"),
    ],
)
def test_what_is_no_agent(cli: Any, agents: Path, target: str, sentence: str) -> None:
    Path("broken.py").write_text("def act(:\n")
    assert_refused(cli("eval", "--agent", target, "--quick"), sentence)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([1, 1], r"an array of shape \(2,\) and type int64; .* of shape \(3,\)"),
        ([[1], [1], [1]], r"shape \(3, 1\)"),
        ([1.0, 1.0, 1.0], "type float64"),
        ([0, 1, 2], "actions from 0 to 2, and there are those from 0 to 1"),
        ([0, -1, 1], "actions from -1 to 1"),
    ],
)
def test_answers_that_are_no_actions(answer: Any, sentence: str) -> None:
    policy = BatchPolicy(lambda observations: answer, 2, "it")
    with pytest.raises(AgentError, match=sentence):
        policy.act(np.zeros((3, 4), np.uint8), greedy=True)


def test_answers_of_other_libraries() -> None:
    import torch

    policy = BatchPolicy(lambda observations: torch.tensor([1, 0], dtype=torch.int32), 2, "it")
    actions = policy.act(np.zeros((2, 4), np.uint8), greedy=False)
    assert actions.tolist() == [1, 0]
    assert actions.dtype == np.int64


def test_one_agent_at_a_time_and_its_own_options(cli: Any, run: Path) -> None:
    assert_refused(cli("eval"), "Say whom to measure, and one only")
    assert_refused(cli("eval", run, "--agent", "random"), "Say whom to measure, and one only")
    assert_refused(cli("eval", run, "--frame-skip", 2), "leave out --frame-skip")
    assert_refused(cli("eval", run, "--rgb"), "leave out --rgb")
    assert_refused(cli("eval", "--agent", "random", "--frame-skip", 0), "frame_skip=0")


def test_options_of_the_environment_are_those_that_are_given() -> None:
    words = "--rgb --crop-top 0 --screen-size 30 40 --show-buttons --reward-weights death=3"
    options, given = COMMAND_LINE.parse(["--agent", "a", *words.split()])
    assert options == EvalOptions(agent="a")
    assert given == {
        "grayscale": False, "crop_top": 0, "screen_size": (30, 40), "show_buttons": True,
        "reward_weights": {"death": 3.0},
    }  # fmt: skip
    assert COMMAND_LINE.parse([])[1] == {}


# -- in the game -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_play(cli: Any, name: str) -> None:
    words = ("--episodes", 2, "--conditions", "greedy-plain", "--stall-limit", 20, "--json")
    done = cli("eval", "--agent", name, *words, "--levels", "1-1", "1-4")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result["levels"]) == ["1-1", "1-4"]
    assert result["agent"]["kind"] == "baseline"
    assert list(result["agent"]["files"]) == ["baselines.py"]
    assert result["env"]["stall_limit"] == 20  # the words win over the agent
    assert result["env"]["observation"] == "tiles"
    assert result["game"]["name"] == "smb"
    episodes = result["levels"]["1-1"]["greedy-plain"]["episodes"]
    assert min(episodes["best_x"]) > 40


def test_the_agent_of_the_guide(cli: Any) -> None:
    guide = (Path(__file__).parents[2] / "docs/pages/how-to/evaluate.md").read_text(
        encoding="utf-8"
    )
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    Path("hurry.py").write_text(code)
    words = ("--episodes", 2, "--conditions", "greedy-plain", "--stall-limit", 20, "--json")
    done = cli("eval", "--agent", "hurry.py:Hurry", "--track", "1-1", *words)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["track"], result["agent"]["name"]) == ("1-1", "Hurry")
    assert result["levels"]["1-1"]["greedy-plain"]["mean_x"]["mean"] > 40


def test_run_right_holds_its_buttons() -> None:
    agent = load_agent("run-right", {})
    actions = [agent.policy.act(np.zeros((3, 2)), greedy=True) for _ in range(14)]
    assert np.array_equal(np.stack(actions)[:, 0], ([0] + [1] * 6) * 2)
    assert all((action == action[0]).all() for action in actions)
    agent.policy.reset(3)
    assert agent.policy.act(np.zeros((3, 2)), greedy=False).tolist() == [RunRightAgent.RUN] * 3
    with pytest.raises(AgentError, match="leave out --actions"):
        load_agent("run-right", {"actions": "simple"})


def test_the_same_games_again() -> None:
    def games() -> list[tuple[str, int, int]]:
        agent = load_agent("run-right", {"level": "1-1"})
        report = evaluate_levels(
            agent.policy, agent.env_kwargs, Standard(episodes=6), conditions=["greedy-frames"]
        )
        episodes = report.levels["1-1"]["greedy-frames"].episodes
        return [(each.trajectory, each.best_x, each.steps) for each in episodes]

    first = games()
    assert len(set(first)) > 1
    assert games() == first


def test_the_random_agent_has_all_actions_there_are() -> None:
    policy = load_agent("random", {"actions": "complex"}).policy
    actions = policy.act(np.zeros((2000, 2)), greedy=True)
    assert set(actions.tolist()) == set(range(12))


def test_options_that_the_environment_does_not_have(agents: Path) -> None:
    with pytest.raises(UnknownArgument):
        load_agent("random", {"frame_skp": 4})
