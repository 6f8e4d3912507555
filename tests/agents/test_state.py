"""Recurrent state is cleared where a game begins."""

from __future__ import annotations

import torch

from mario_agents.core.types import clear_state

IS_FIRST = torch.tensor([True, False, True])


def test_state_is_cleared_where_a_game_begins():
    hidden, cell = torch.arange(6.0).reshape(3, 2), torch.ones(3, 1, 2)
    state = {"core": (hidden, cell), "head": ()}
    cleared = clear_state(state, IS_FIRST)
    assert cleared["core"][0].tolist() == [[0, 0], [2, 3], [0, 0]]
    assert cleared["core"][1].tolist() == [[[0, 0]], [[1, 1]], [[0, 0]]]
    assert cleared["head"] == ()
    assert hidden[0].tolist() == [0, 1]


def test_state_begins_as_the_policy_says():
    state, initial = (torch.zeros(3, 2),), (torch.tensor([[7.0, 8.0]]),)
    assert clear_state(state, IS_FIRST, initial)[0].tolist() == [[7, 8], [0, 0], [7, 8]]


def test_nothing_is_to_be_cleared_in_a_feed_forward_network():
    assert clear_state((), IS_FIRST) == ()
