"""Levels, actions and rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.curriculum.level_text import resolve_schedule
from mario_envkit.emulator.protocol import RAM_SIZE
from mario_envkit.errors import LevelError, OptionError
from mario_envkit.game import ram as m
from mario_envkit.game.actions import ACTION_SETS, describe, resolve_actions
from mario_envkit.game.levels import Level, all_levels, parse_level
from mario_envkit.game.reward_options import resolve_reward, terms_by_name, weighted, weights_of
from mario_envkit.game.rewards import (
    REWARDS,
    Death,
    Distance,
    Flag,
    Progress,
    RewardFunction,
    Stall,
    Warp,
)
from mario_envkit.game.state import (
    GameState,
    digits,
    is_busy,
    is_dying,
    is_world_over,
    read_clock,
    read_state,
)

STATE = GameState(
    world=1, stage=1, area=7, x_pos=40, y_pos=79, time=400, score=0, coins=0, life=2, powerup=0,
    flag_get=False, dying=False, dead=False, fallen=False, busy=False, world_over=False,
    game_over=False,
)  # fmt: skip


@pytest.mark.parametrize("value", ["1-2", "1,2", " 1 - 2 ", (1, 2), [1, 2], Level(1, 2)])
def test_ways_to_write_a_level(value):
    assert parse_level(value) == Level(1, 2)


@pytest.mark.parametrize("value", ["9-1", "1-5", "0-1", "", "one", None, 11, (1,), (1, "x"), 1.5])
def test_levels_that_do_not_exist(value):
    with pytest.raises(LevelError, match="'1-1' to '8-4'"):
        parse_level(value)


def test_area_numbers_count_the_intro_areas():
    # gym-super-mario-bros 7.4, _roms/decode_target.py
    assert [Level(1, s).area_number("smb") for s in (1, 2, 3, 4)] == [1, 3, 4, 5]
    assert [Level(3, s).area_number("smb") for s in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert Level(3, 2).area_number("lost_levels") == 3
    assert len(all_levels()) == 32
    assert len(all_levels("lost_levels")) == 16


def test_schedules():
    rng = np.random.default_rng(0)
    sequential = resolve_schedule("sequential")
    assert [str(sequential.next(rng)) for _ in range(33)][::8] == [
        "1-1",
        "3-1",
        "5-1",
        "7-1",
        "1-1",
    ]
    some = resolve_schedule(["1-1", "4-4"])
    assert {str(some.next(rng)) for _ in range(50)} == {"1-1", "4-4"}
    assert len({resolve_schedule("random").next(rng) for _ in range(500)}) == 32
    assert resolve_schedule("full").next(rng) is None
    for wrong in ([], "everything", ["1-1", "9-9"]):
        with pytest.raises(LevelError):
            resolve_schedule(wrong)


def test_action_sets_have_the_bytes_of_7_4():
    assert resolve_actions("simple") == (0, 128, 129, 130, 131, 1, 64)
    assert len(resolve_actions("complex")) == 12
    assert resolve_actions([["Right", "a"], []]) == (129, 0)
    assert [describe(b) for b in resolve_actions("right_only")][-1] == "A+B+RIGHT"
    assert set(ACTION_SETS) == {"right_only", "simple", "complex"}


@pytest.mark.parametrize("actions", ["quick", [["fire"]], [], [[3]]])
def test_actions_that_do_not_exist(actions):
    with pytest.raises(OptionError):
        resolve_actions(actions)


def run(reward: RewardFunction, *states: GameState):
    memory = reward.start(states[0])
    results = []
    for state in states[1:]:
        value, parts, memory = reward(memory, state)
        results.append((value, parts))
    return results


def test_v7_by_hand():
    moved, parts = run(REWARDS["v7"], STATE, STATE._replace(x_pos=43, time=399))[0]
    assert (moved, parts) == (2, {"distance": 3, "clock": -1, "death": 0})
    jumped, _ = run(REWARDS["v7"], STATE, STATE._replace(x_pos=46))[0]
    assert jumped == 0
    dead, parts = run(REWARDS["v7"], STATE, STATE._replace(dying=True, time=401))[0]
    assert (dead, parts["death"], parts["clock"]) == (-15, -25, 0)


def test_progress_pays_for_new_ground_once_and_per_area():
    back_and_forth = [STATE._replace(x_pos=x) for x in (40, 44, 41, 44, 46, 60, 62)]
    paid = [value for value, _ in run(REWARDS["progress"], *back_and_forth)]
    assert paid == pytest.approx([0.4, 0, 0, 0.2, 0, 0.2])
    pipe = [
        STATE._replace(x_pos=x, area=a)
        for x, a in [(900, 7), (20, 9), (24, 9), (2600, 7), (2603, 7)]
    ]
    assert [v for v, _ in run(REWARDS["progress"], *pipe)] == pytest.approx([0, 0.4, 0, 0.3])
    flag, _ = run(REWARDS["progress"], STATE, STATE._replace(flag_get=True))[0]
    death, _ = run(REWARDS["progress"], STATE, STATE._replace(dead=True))[0]
    assert (flag, death) == (5, -5)


def test_beyond_the_left_end_of_an_area():
    edge = [STATE._replace(x_pos=x) for x in (3, -1, -4, 1, 6)]
    assert [v for v, _ in run(RewardFunction((Progress(),)), *edge)] == [0, 0, 0, 3]
    # 7.4 knows no negative x: it takes the way over the edge for a change of scene.
    assert [v for v, _ in run(RewardFunction((Distance(),)), *edge)] == [0, -3, 0, 5]


def test_flag_bonus_once_a_stage_or_once_an_episode():
    flags = [STATE._replace(flag_get=f) for f in (False, True, True, False, True)]
    every = RewardFunction((Flag(50),))
    once = RewardFunction((Flag(50, once=True),))
    assert [value for value, _ in run(every, *flags)] == [50, 0, 0, 50]
    assert [value for value, _ in run(once, *flags)] == [50, 0, 0, 0]


def test_a_warp_is_a_stage_left_without_its_flag():
    reward = RewardFunction((Flag(50), Warp(-20)))
    here, there = STATE, STATE._replace(world=2)
    won = here._replace(flag_get=True)
    paid = [[value for value, _ in run(reward, *states)] for states in (
        (here, there, there), (here, won, there, here), (here, won, won, there), (won, there),
        (here, there._replace(flag_get=True), here),
    )]  # fmt: skip
    assert paid == [[-20, 0], [50, 0, -20], [50, 0, 0], [-20], [30, 0]]


def test_terms_that_are_derived_from_ours_may_have_any_fields():
    @dataclass(frozen=True)
    class Fall(Death):
        pixels: int = 0
        where: tuple[int, ...] = (1,)
        penalty: float = -9

    reward = RewardFunction((Fall(pixels=3),))
    assert [value for value, _ in run(reward, STATE, STATE._replace(dead=True))] == [-9]
    with pytest.raises(OptionError, match="penalty"):
        Fall(penalty="much")


states = st.builds(
    STATE._replace,
    world=st.integers(1, 2),
    stage=st.integers(1, 2),
    area=st.integers(1, 2),
    x_pos=st.integers(-6, 20),
    time=st.integers(0, 4),
    score=st.integers(0, 500),
    coins=st.integers(0, 99),
    powerup=st.integers(0, 3),
    flag_get=st.booleans(),
    dying=st.booleans(),
    dead=st.booleans(),
)


FUNCTIONS = [*REWARDS.values(), RewardFunction((Warp(-3), Flag(2), Warp(0.5, "again")))]


@given(st.sampled_from(FUNCTIONS), st.lists(st.tuples(states, states, states), min_size=2))
def test_batches_of_games_get_what_single_games_get(reward, frames):
    singles = [run(reward, *history) for history in zip(*frames, strict=True)]
    batched = [GameState(*(np.array(field) for field in zip(*row, strict=True))) for row in frames]
    for step, (value, parts) in enumerate(run(reward, *batched)):
        expected = [single[step] for single in singles]
        assert np.asarray(value).tolist() == pytest.approx([float(e[0]) for e in expected])
        for part, amounts in parts.items():
            amounts = np.broadcast_to(amounts, 3)
            assert amounts.tolist() == pytest.approx([float(e[1][part]) for e in expected])


WEIGHTS = {
    "v7": {"distance": 1, "clock": 1, "death": 25},
    "v9": {
        "progress": 1, "time": 1, "score": 1, "coins": 1, "powerup": 1, "completion": 50,
        "death": 25,
    },
    "progress": {"progress": 1, "flag": 5, "death": 5},
}  # fmt: skip


@pytest.mark.parametrize("name", REWARDS)
def test_weights_that_rewards_have_by_themselves(name):
    assert weights_of(REWARDS[name]) == WEIGHTS[name]
    assert weighted(REWARDS[name], None) is weighted(REWARDS[name], {}) is REWARDS[name]


def test_a_weight_is_a_factor_or_what_an_event_pays():
    reward = weighted(REWARDS["progress"], {"death": 25, "progress": 0.25, "flag": 7, "stall": 30})
    assert [term.name for term in reward.terms] == ["progress", "flag", "death", "stall"]
    ahead, dead = STATE._replace(x_pos=44), STATE._replace(x_pos=44, dying=True)
    (first, _), (second, _) = run(reward, STATE, ahead, dead)
    assert first == pytest.approx(0.25 * 0.1 * 4)
    assert second == pytest.approx(-25)
    (won, _) = run(reward, STATE, STATE._replace(flag_get=True))[0]
    assert won == pytest.approx(7)
    assert reward.stalls == (Stall(-300),)


@given(
    st.sampled_from(sorted(REWARDS)),
    st.dictionaries(
        st.sampled_from(["death", "progress", "distance", "clock", "stall", "warp", "coins"]),
        st.floats(0, 1e6),
        max_size=4,
    ),
)
def test_weights_are_what_was_asked_for(name, weights):
    known = terms_by_name(REWARDS[name])
    weights = {term: weight for term, weight in weights.items() if term in known}
    reward = weighted(REWARDS[name], weights)
    had = {term.name for term in REWARDS[name].terms}
    assert {term.name for term in reward.terms} == had | set(weights)
    found = weights_of(reward)
    for term, weight in {**WEIGHTS[name], **weights}.items():
        assert found[term] == pytest.approx(weight)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"deaths": 1}, "no term 'deaths'; did you mean 'death'\\? This reward has progress, flag, "
         "death, and distance, clock, score, coins, powerup, stall, warp, path can be added"),
        ({"x": 1}, "there is no term 'x'; this reward has"),
        ({"death": -1}, "reward_weights\\['death'\\]=-1 is not possible; give a number from 0"),
        ({"death": "much"}, "is not possible"),
        ({1: 1}, "there is no term 1"),
        ("death=1", "give a dict such as"),
    ],
)  # fmt: skip
def test_weights_that_are_wrong(weights, message):
    with pytest.raises(OptionError, match=message):
        weighted(REWARDS["progress"], weights)


def test_rewards_are_chosen_by_name_or_composed():
    mine = RewardFunction((Progress(), Death(-1)), scale=0.5)
    assert resolve_reward(mine) is mine
    with pytest.raises(OptionError, match="choose one of v7, v9, progress"):
        resolve_reward("v8")
    with pytest.raises(OptionError, match="different names"):
        RewardFunction((Death(), Death(-1)))


@given(st.binary(min_size=RAM_SIZE, max_size=RAM_SIZE), st.integers(0, 15))
def test_a_state_says_what_the_functions_for_its_facts_say(ram, player_state):
    ram = bytearray(ram)
    ram[m.PLAYER_STATE] = player_state  # most bytes are no state at all
    state = read_state(ram)
    assert state.dying == is_dying(ram)
    assert state.busy == is_busy(ram)
    assert state.time == read_clock(ram)
    assert state.world_over == is_world_over(ram)


@given(st.lists(st.integers(0, 255), min_size=6, max_size=6))
def test_digits_are_put_side_by_side_like_in_7_4(ram):
    assert digits(ram, range(6)) == int("".join(map(str, ram)))
