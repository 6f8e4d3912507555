"""The best weights are chosen in two stages, by episodes that nothing else is judged by."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import TrainConfig, validate
from mario_agents.core.algorithm import Spaces
from mario_agents.evaluation.results import EvalEpisode, EvalProtocol, Evaluation
from mario_agents.evaluation.seeds import FIRST, training_seed
from mario_agents.evaluation.standard import Standard
from mario_agents.run import RunDir, read_weights
from mario_agents.run.records import read_evaluations
from mario_agents.runtime.evaluation import (
    EvaluationPlayer,
    EvaluationResult,
    levels_in_turn,
    may_be_better,
)
from mario_agents.runtime.evaluator import Evaluator
from mario_envkit.errors import ConfigError
from tests.agents.test_best_weights import Walker, WalkingAlgorithm


def played(wins: int, episodes: int, x: int = 100) -> EvaluationResult:
    """So many wins of plain episodes, and of sticky ones."""
    each = tuple(
        EvalEpisode("1-1", number < wins, 1.0, x, 10, "flag" if number < wins else "pit")
        for number in range(episodes)
    )
    both = Evaluation(EvalProtocol(episodes), each)
    return EvaluationResult(both, both)


def test_only_fresh_episodes_of_what_may_be_better_count(tmp_path, monkeypatch):
    #        first of 10, second of 100 (None: must not be asked for), best afterwards
    script = [(10, 60, 0.6), (9, 70, 0.7), (3, None, 0.7), (10, 50, 0.7), (8, 71, 0.71)]
    config = TrainConfig(eval_episodes=10, confirm_episodes=100)
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=config)
    evaluator = Evaluator(
        WalkingAlgorithm(), config, run, Spaces((4, 36, 36), 3), torch.device("cpu")
    )
    seeds: list[int] = []
    asked: list[int] = []

    def stage(
        self: Any, weights: Any, episodes: int, seed: int, *, sampled: bool = False
    ) -> EvaluationResult:
        assert sampled == (episodes == 100)
        seeds.append(seed)
        asked.append(episodes)
        first, second, _ = script[len(asked) - asked.count(100) - 1]
        wins = first if episodes == 10 else second
        assert wins is not None
        return played(wins, episodes)

    monkeypatch.setattr(EvaluationPlayer, "_stage", stage)
    monkeypatch.setattr(EvaluationPlayer, "record", lambda *args: None)
    best = []
    for number, _ in enumerate(script, start=1):
        evaluator.start(Walker().state_dict(), 100 * number)
        metrics = evaluator.result(wait=True)
        assert metrics is not None
        best.append(metrics["eval_best"])
    evaluator.close()
    assert best == [after for *_, after in script]
    assert asked == [10, 100, 10, 100, 10, 10, 100, 10, 100]
    assert len(set(seeds)) == len(seeds)
    assert read_weights(run, "best")[1]["step"] == "500"
    records, damaged = read_evaluations(run.evaluations_path)
    assert not damaged
    assert [len(record.confirmed) for record in records] == [2, 2, 0, 2, 2]
    sticky = [sum(p.success for p in record.judged["sticky"]) for record in records]
    assert sticky == [60, 70, 3, 50, 71]


def test_one_stage_asks_for_nothing_more(monkeypatch):
    config = TrainConfig(eval_episodes=10)
    player = EvaluationPlayer(
        WalkingAlgorithm(), config, Spaces((4, 36, 36), 3), torch.device("cpu")
    )
    monkeypatch.setattr(EvaluationPlayer, "_stage", lambda *args, **_: played(3, args[2]))
    first, second = player.evaluate({}, 100, (0.1, 5.0))
    assert ([len(each.episodes) for each in first], second) == ([10, 10], None)


def test_the_second_stage_samples_as_well():
    """Weights that win only while they never draw an action are worth less than they seem."""
    config = PPOConfig(
        level="1-1", stall_limit=2, eval_episodes=2, confirm_episodes=3, hidden=8, device="cpu"
    )
    spaces = Spaces(config.obs_shape, 7)
    player = EvaluationPlayer(PPOAlgorithm(), config, spaces, torch.device("cpu"))
    weights = PPOAlgorithm().learner(config, spaces).model.state_dict()
    first, second = player.evaluate(weights, 500)
    assert second is not None
    protocols = [(each.protocol.greedy, each.protocol.sticky) for each in (*first, *second)]
    assert protocols == [(True, 0.0), (True, 0.25), (True, 0.0), (True, 0.25), (False, 0.0)]
    assert [len(each.episodes) for each in second] == [3, 3, 3]
    assert "sampled: 0 of 3 to the flag" in second.text()
    assert "sampled" not in first.text()
    won, lost = played(4, 4)[0], played(0, 4)[0]
    assert EvaluationResult(won, won, lost).score == (2 / 3, 100.0)
    assert EvaluationResult(won, lost).score == (0.5, 100.0)


@pytest.mark.parametrize(
    ("wins", "x", "best", "may"),
    [
        (0, 100, None, True),
        (0, 100, (0.0, 99.0), True),
        (0, 100, (0.0, 101.0), False),
        (0, 100, (0.1, 9.0), True),
        (0, 100, (0.5, 9.0), False),
        (10, 100, (1.0, 900.0), True),
        (8, 100, (0.9, 900.0), True),
        (5, 100, (0.9, 900.0), False),
        (6, 100, (0.8, 900.0), True),  # of at most 78 %, but nothing is known of sampled ones yet
    ],
)
def test_what_may_be_better(wins, x, best, may):
    assert may_be_better(played(wins, 10, x), best) is may


@given(st.integers(0, 2**63), st.integers(0, 2**40), st.integers(0, 2**40), st.sampled_from([1, 2]))
def test_seeds_of_training_are_its_own(seed, step, other, stage):
    first = training_seed(seed, step, stage)
    assert FIRST <= first < 2**31 - FIRST
    assert first == training_seed(seed, step, stage)
    if other != step:
        assert first != training_seed(seed, other, stage)
    assert first != training_seed(seed, step, 3 - stage)


def test_the_standard_has_other_seeds():
    validate(Standard(seed=FIRST - 1), source="test")
    with pytest.raises(ConfigError, match=f"expected int <= {FIRST - 1}"):
        validate(Standard(seed=FIRST), source="test")


@pytest.mark.parametrize(
    ("level", "count"),
    [("random", 32), ("weighted:1-1..2-1", 5), ("sequential:1-1,4-2", 2), ("1-3", 0), ("full", 0)],
)
def test_evaluations_are_of_all_levels_alike(level: str, count: int) -> None:
    kwargs = {"level": level}
    found = [levels_in_turn(kwargs, seed) for seed in range(40)]
    assert {len(set(each)) for each in found} == {len(found[0])} == {count}
    assert len({frozenset(each) for each in found}) == 1
    if count:
        assert {each[0] for each in found} > {found[0][0]}, "which come first is the seed's to say"
    assert levels_in_turn({**kwargs, "id": "Toy-v0"}, 0) == ()


def test_an_order_has_no_part_in_evaluations() -> None:
    """Those of a run that plays its levels one after the other are not all of the first."""
    config = PPOConfig(
        level="sequential:1-1..1-3", stall_limit=2, eval_episodes=6, hidden=8, device="cpu"
    )
    player = EvaluationPlayer(
        PPOAlgorithm(), config, Spaces(config.obs_shape, 7), torch.device("cpu")
    )
    weights = PPOAlgorithm().learner(config, Spaces(config.obs_shape, 7)).model.state_dict()
    result = player.evaluate(weights, 500).first
    for each in result:
        assert Counter(e.level for e in each.episodes) == {"1-1": 2, "1-2": 2, "1-3": 2}
    assert "0 of 6 to the flag (worst tenth of 3 levels 0%, worst 1-1 0%)" in result.text()
