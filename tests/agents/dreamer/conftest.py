"""A Dreamer whose smallest networks are smaller still."""

from __future__ import annotations

import pytest

from mario_agents.algos.dreamer.algorithm import DreamerAlgorithm
from mario_agents.algos.dreamer.learner import DreamerLearner
from mario_agents.algos.dreamer.sizes import SIZES, Size
from tests.agents.dreamer.toys import CONFIG, SPACES


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "tiles", Size(64, 8, 8, 64, 64, 4, 4, 1, 1, 1, 1))


@pytest.fixture
def learner() -> DreamerLearner:
    return DreamerAlgorithm().learner(CONFIG, SPACES)
