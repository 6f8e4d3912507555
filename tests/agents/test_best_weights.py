"""The best weights of a run: which are kept, and which are played."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Spaces
from mario_agents.core.policy import Policy
from mario_agents.run import BestWeights, RunDir, read_weights, weights_path, write_weights
from mario_agents.runtime.evaluator import Evaluator
from mario_agents.testing.corridor import CORRIDOR, RIGHT, STAY
from mario_envkit.errors import LevelError, RunError, TrainerError


@pytest.fixture
def run(tmp_path) -> RunDir:
    return RunDir.create(tmp_path / "run", trainer="ppo", config=TrainConfig())


def number(run: RunDir, which: str) -> float:
    return read_weights(run, which)[0]["w"].item()


def offer(best: BestWeights, value: float, *score: float) -> bool:
    return best.offer(score, {"w": torch.tensor(value)}, {"step": int(value)})


def test_the_highest_score_is_kept_and_of_equals_the_latest(run):
    best = BestWeights(run)
    assert offer(best, 1.0, 0.2, 500.0)
    assert not offer(best, 2.0, 0.1, 900.0)
    assert number(run, "best") == 1.0
    assert offer(best, 3.0, 0.2, 500.5)
    assert offer(best, 4.0, 0.2, 500.5)
    assert number(run, "best") == 4.0
    assert read_weights(run, "best")[1]["step"] == "4"


def test_a_resumed_run_knows_its_best_score(run):
    offer(BestWeights(run), 1.0, 1 / 3, 1234.5678901234567)
    again = BestWeights(run)
    assert again.score == (1 / 3, 1234.5678901234567)
    assert not offer(again, 2.0, 0.3, 2000.0)


def test_best_falls_back_on_the_latest(run):
    write_weights(run, {"w": torch.tensor(7.0)}, {})
    assert number(run, "best") == 7.0
    assert weights_path(run, "best") == run.weights_path
    offer(BestWeights(run), 8.0, 0.0)
    assert number(run, "best") == 8.0
    assert number(run, "latest") == 7.0


def test_best_weights_without_a_score_are_an_error_in_a_sentence(run):
    write_weights(run, {"w": torch.tensor(7.0)}, {}, "best")
    with pytest.raises(RunError, match="does not say how good it is"):
        BestWeights(run)


class Walker(torch.nn.Module):
    """Goes right if its weight is 1, and nowhere if it is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.right = torch.nn.Parameter(torch.zeros(1))


class WalkingPolicy(Policy):
    device = torch.device("cpu")

    def __init__(self, model: Walker) -> None:
        self.model = model

    def act(self, obs, state, is_first, *, mode, step):
        assert mode == "greedy"
        right = bool(self.model.right.item())
        return torch.full((len(obs),), RIGHT if right else STAY), {}, state


@dataclasses.dataclass
class WalkingLearner:
    model: Walker


class WalkingAlgorithm:
    """Of an algorithm only what an evaluator asks for."""

    config_class = None

    def env_kwargs(self, config):
        return {"id": CORRIDOR}

    def learner(self, config, spaces):
        return WalkingLearner(Walker())

    def player(self, learner):
        return learner.model

    def policy(self, config, learner, context):
        return WalkingPolicy(learner.model)


def test_an_evaluation_keeps_what_it_played_and_not_what_came_later(run):
    config = TrainConfig(eval_episodes=2)
    evaluator = Evaluator(
        WalkingAlgorithm(), config, run, Spaces((4, 36, 36), 3), torch.device("cpu")
    )
    learner = WalkingLearner(Walker())
    success = []
    for step, right in ((100, 0.0), (200, 1.0), (300, 0.0)):
        with torch.no_grad():
            learner.model.right.fill_(right)
        evaluator.start(learner.model.state_dict(), step)
        with torch.no_grad():
            learner.model.right.fill_(5.0)  # training goes on
        metrics = evaluator.result(wait=True)
        success.append((metrics["eval_success"], metrics["eval_best"]))
    assert success == [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    tensors, metadata = read_weights(run, "best")
    assert tensors["right"].item() == 1.0
    assert metadata["step"] == "200"
    assert metadata["obs_shape"] == "[4, 36, 36]"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no policy"), "RuntimeError: no policy."),
        (SystemExit(3), "SystemExit: 3."),  # of somebody's library
        (LevelError("There is no level 9-9."), "There is no level 9-9."),
    ],
)
@pytest.mark.parametrize("part", ["policy", "env_kwargs"])
def test_what_an_evaluation_ends_with_is_raised_where_it_is_fetched(
    run, monkeypatch, part, error, said
):
    config = TrainConfig(eval_episodes=1)
    evaluator = Evaluator(
        WalkingAlgorithm(), config, run, Spaces((4, 36, 36), 3), torch.device("cpu")
    )

    def broken(*_):
        raise error

    monkeypatch.setattr(WalkingAlgorithm, part, broken)
    evaluator.start(Walker().state_dict(), 100)
    with pytest.raises(TrainerError) as caught:
        evaluator.result(wait=True)
    assert str(caught.value) == f"The evaluation of step 100 failed. {said}"
    assert caught.value.__cause__ is error
    monkeypatch.undo()
    evaluator.start(Walker().state_dict(), 200)
    assert evaluator.result(wait=True) is not None


def test_best_weights_wait_for_a_disk_and_the_best_of_them_win(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    best = BestWeights(run)
    offer(best, 1.0, 0.1)
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        assert offer(best, 2.0, 0.9)
        assert not offer(best, 3.0, 0.5)
        with pytest.raises(RunError, match="No space left on device"):
            best.close()
    assert number(run, "best") == 1.0
    best.flush()
    assert number(run, "best") == 2.0
    best.close()
