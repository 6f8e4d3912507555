"""Priorities of shared experience stay with the transitions they were computed for."""

from __future__ import annotations

import random
import zlib
from collections import Counter, deque

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mario_agents.core.types import Step
from mario_agents.replay.selectors import PrioritizedSelector
from mario_agents.replay.transitions import TransitionReplay, ValueErrors
from mario_agents.runtime.experience import StepIntake, StepSender
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.step_layout import StepLayout
from tests.agents.replay_reference import EVENTS, EXTRAS, InventedGames, NaiveReplay, Play, plays
from tests.agents.test_experience import Learning, Renumbered
from tests.agents.test_replay import assert_same, kept, storage_for


class CentralReplay(Renumbered):
    """The replay that a learner of Ape-X has, with its workers by the numbers of the play."""

    def __init__(self, play: Play, seed: int) -> None:
        storage = storage_for(play)
        super().__init__(storage, list(play.games))
        self.storage, self.naive = storage, NaiveReplay(play.num_envs, list(play.games))
        self.selector = PrioritizedSelector(
            storage,
            np.random.default_rng(seed),
            alpha=ALPHA,
            beta=lambda at: 0.4,
            initial=ValueErrors(storage, n_step=N_STEP, gamma=GAMMA),
        )
        self.replay = TransitionReplay(
            storage, self.selector, n_step=N_STEP, gamma=GAMMA, batch_size=4, learning_starts=1,
            train_every=1, save=False,
        )  # fmt: skip


N_STEP, GAMMA, ALPHA = 2, 0.9, 0.6


def surprise(obs: np.ndarray, action: int) -> np.float32:
    """What a learner measures on a transition, which it tells by what is in it."""
    return np.float32(zlib.crc32(obs.tobytes() + bytes([action])) % 10_007 / 500)


def check_priorities(
    central: CentralReplay, told: dict[int, np.float32], happened: Counter[str]
) -> None:
    """Every priority is the error that was told last, or that of the values that came along."""
    storage, naive, selector = central.storage, central.naive, central.selector
    selector.arrays()  # brings the trees up to date
    here = kept(storage)
    assert_same(storage, naive, here, N_STEP, GAMMA)
    total = 0.0
    for index in here.tolist():
        history, number = naive.at(index)
        known = naive.error(index, N_STEP, GAMMA)
        expected = 0.0
        if index in told:
            happened["told"] += 1
            assert told[index] == surprise(history[number].obs, history[number].action)
            expected = (float(told[index]) + 1e-6) ** ALPHA
        elif known is not None:
            happened["by values"] += 1
            expected = (abs(known) + 1e-6) ** ALPHA
        step, game = storage.locate(np.array([index]))
        priority = selector.trees[selector._leaf(step, game)]
        assert priority == pytest.approx(expected, rel=1e-4, abs=1e-5)
        total += expected
    assert selector.trees.total == pytest.approx(total, rel=1e-4, abs=1e-5)


def learn_from_workers(play: Play, most: int, seed: int) -> Counter[str]:
    """Workers play, are replaced, and send; a learner draws, and tells its errors, of a batch
    sometimes only when others have been drawn and steps of it have left.

    In the end every priority is that of its own transition, and there is no other. Returns how
    often what is to be tested happened.
    """
    chance, happened = random.Random(seed), Counter[str]()
    central = CentralReplay(play, seed)
    storage, naive = central.storage, central.naive
    layout = StepLayout(play.obs_shape, play.num_envs, EXTRAS, steps=most)
    places = {worker: place for place, worker in enumerate(play.games)}
    rings = [ByteRing.private(slots=3, capacity=layout.capacity) for _ in places]
    intake = StepIntake(rings, layout, central)
    exchange = Learning(intake, central)
    senders = {w: StepSender(rings[place], layout, 0, exchange) for w, place in places.items()}
    made: dict[int, list[Step]] = {worker: [] for worker in places}
    generations = dict.fromkeys(places, 0)
    drawn: deque[dict[str, np.ndarray]] = deque()
    told: dict[int, np.float32] = {}

    def tell() -> None:
        batch = drawn.popleft()
        errors = [surprise(o, int(a)) for o, a in zip(batch["obs"], batch["action"], strict=True)]
        there = storage.present(batch["index"])
        happened["too late"] += int((~there).sum())
        central.replay.feedback(batch, {"priority": torch.tensor(np.array(errors))})
        told.update(zip(batch["index"].tolist(), errors, strict=True))

    for worker, events in play.script:
        sender = senders[worker]
        if events is None:
            happened["replaced"] += 1
            for step in made[worker][: len(made[worker]) - len(sender._steps)]:
                naive.add(step, worker)
            made[worker] = []
            play.games[worker].reset()
            generations[worker] += 1
            senders[worker] = StepSender(
                rings[places[worker]], layout, generations[worker], exchange
            )
            naive.cut(worker)
        else:
            made[worker].append(play.games[worker].step(events))
            sender.add(made[worker][-1], worker)
        if chance.random() < 0.4:
            intake.take()
        if chance.random() < 0.4 and central.replay.ready:
            drawn.append(central.replay.draw(0))
        if drawn and (len(drawn) > 4 or chance.random() < 0.3):
            tell()
    for worker, sender in senders.items():
        list(sender.batches(0))
        for step in made[worker]:
            naive.add(step, worker)
    while intake.take():
        pass
    while drawn:
        tell()
    check_priorities(central, told, happened)
    happened["left"] += int(storage.first.sum())
    return happened


@settings(max_examples=80)
@given(plays(), st.integers(1, 4), st.integers(0, 2**32))
def test_priorities_are_those_of_the_transitions_they_were_computed_for(play, most, seed):
    """Of many workers, of which some are replaced, in a replay that old steps leave."""
    assume(play.rows > N_STEP)
    learn_from_workers(play, most, seed)


def test_errors_are_told_late_and_workers_replaced_in_the_test_above() -> None:
    """A long play, so that all that it is about happens, and often."""
    chance = random.Random(1)
    games = {worker: InventedGames(2, 2, worker, colours=50) for worker in (2, 0, 1)}
    script: list[tuple[int, list[str] | None]] = [
        (worker, None if chance.random() < 0.03 else chance.choices(EVENTS, k=2))
        for worker in chance.choices((0, 1, 2), k=1500)
    ]
    happened = learn_from_workers(Play(games, 25, script), 3, 1)
    assert happened["left"] > 1000
    assert happened["replaced"] > 20
    assert happened["too late"] > 50
    assert happened["told"] > 10
    assert happened["by values"] > 5
