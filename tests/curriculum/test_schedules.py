"""Which level comes next, and what schedules are told."""

from __future__ import annotations

import json
from collections import Counter

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.curriculum.level_text import ORDERS, resolve_schedule
from mario_envkit.curriculum.schedule import (
    Fixed,
    OnSuccess,
    Random,
    Sequential,
    Weighted,
    Worst,
)
from mario_envkit.env import MarioEnv
from mario_envkit.errors import ConfigError, LevelError, OptionError
from mario_envkit.game.levels import Level, all_levels
from mario_envkit.snapshots.context import Context
from tests.recorded import begin_late, warp_run

WORLD_1 = tuple(Level(1, stage) for stage in (1, 2, 3, 4))
LEVELS = st.sampled_from(WORLD_1)


class Listener(Random):
    """Writes down what it is told."""

    def __init__(self, levels: tuple[Level, ...]) -> None:
        super().__init__(levels)
        self.told: list[tuple[str, bool]] = []
        self.restarts = 0

    def record(self, level: Level, success: bool) -> None:
        self.told.append((str(level), bool(success)))

    def restart(self) -> None:
        self.restarts += 1


# -- what they choose ------------------------------------------------------------------------


@given(st.lists(st.tuples(LEVELS, st.booleans())), st.integers(1, 3))
def test_on_success_moves_after_so_many_wins_of_its_level_and_never_else(outcomes, wins):
    schedule = OnSuccess(WORLD_1, wins)
    rng = np.random.default_rng(0)
    won = 0
    for level, success in outcomes:
        assert schedule.next(rng) == schedule.next(rng) == WORLD_1[won // wins % 4]
        won += success and level == schedule.next(rng)
        schedule.record(level, success)
    assert schedule.next(rng) == WORLD_1[won // wins % 4]


@given(st.lists(st.tuples(LEVELS, st.booleans()), max_size=60))
def test_weights_are_a_distribution_over_all_levels(outcomes):
    for kind in (Weighted, Worst):
        schedule = kind(WORLD_1, memory=5)
        for level, success in outcomes:
            schedule.record(level, success)
        weights = schedule.weights()
        assert list(weights) == list(WORLD_1)
        assert sum(weights.values()) == pytest.approx(1)
        assert max(weights.values()) <= 10 * min(weights.values()) + 1e-9


def test_middling_levels_are_chosen_more():
    schedule = Weighted(WORLD_1)
    sure, never, middling, unknown = WORLD_1
    for attempt in range(60):
        schedule.record(sure, True)
        schedule.record(never, False)
        schedule.record(middling, attempt % 2 == 0)
    weights = schedule.weights()
    assert weights[unknown] == max(weights.values())
    assert weights[middling] > 0.9 * weights[unknown]
    assert weights[sure] == pytest.approx(weights[never])
    assert weights[middling] > 4 * weights[sure]
    rng = np.random.default_rng(0)
    drawn = Counter(schedule.next(rng) for _ in range(4000))
    for level in WORLD_1:
        assert drawn[level] / 4000 == pytest.approx(weights[level], abs=0.03)
    for _ in range(100):  # it learns to do what it never did
        schedule.record(never, True)
        schedule.record(sure, False)
    assert schedule.weights()[never] < 0.1
    schedule.restart()
    assert schedule.weights() == dict.fromkeys(WORLD_1, 0.25)


@given(st.lists(st.tuples(st.sampled_from(all_levels()), st.booleans()), max_size=300))
def test_the_worst_tenth_has_half_of_the_episodes(outcomes):
    levels = all_levels()
    schedule = Worst(levels)
    for level, success in outcomes:
        schedule.record(level, success)
    rates = dict(zip(levels, schedule.rates(), strict=True))
    weights = schedule.weights()
    # All that are as bad as the fourth worst of 32, and nobody else.
    fourth = sorted(rates.values())[3]
    worst = [level for level in levels if rates[level] <= fourth]
    share = sum(weights[level] for level in worst)
    assert share == pytest.approx(1 if len(worst) == len(levels) else 0.5)
    assert len({round(weights[level], 12) for level in worst}) == 1
    assert len({round(weights[level], 12) for level in set(levels) - set(worst)}) <= 1


def test_weights_from_what_is_known():
    known = {"1-1": LevelStats(attempts=1000, completions=990), "8-4": LevelStats(attempts=5)}
    schedule = Weighted(WORLD_1, stats=known)
    assert schedule.weights()[WORLD_1[0]] < 0.12
    before = schedule.weights()
    for _ in range(40):  # as if it had never been seen a thousand times
        schedule.record(WORLD_1[0], False)
        schedule.record(WORLD_1[0], True)
    assert schedule.weights()[WORLD_1[0]] > 0.2
    schedule.restart()
    assert schedule.weights() == before


@pytest.mark.parametrize(
    ("text", "kind", "levels"),
    [
        ("1-1..1-4", Random, "1-1 1-2 1-3 1-4"),
        ("1-4..2-1,8-4", Random, "1-4 2-1 8-4"),
        (" 1-1, 4-2 ", Random, "1-1 4-2"),
        ("weighted:1-1..1-2,1-4", Weighted, "1-1 1-2 1-4"),
        ("worst:1-1..1-2", Worst, "1-1 1-2"),
        ("on-success:7-4..8-2", OnSuccess, "7-4 8-1 8-2"),
        ("sequential:4-2,1-1", Sequential, "4-2 1-1"),
        ("random:3-3", Random, "3-3"),
    ],
)
def test_levels_as_text(text, kind, levels):
    schedule = resolve_schedule(text)
    assert type(schedule) is kind
    assert " ".join(map(str, schedule.levels)) == levels


def test_orders_alone_mean_all_levels():
    for order, kind in ORDERS.items():
        assert resolve_schedule(order).levels == kind(all_levels()).levels == all_levels()
        assert resolve_schedule(order, "lost_levels").levels == all_levels("lost_levels")
    assert isinstance(resolve_schedule("1,1"), Fixed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("weigted", "did you mean 'weighted'?"),
        ("on-succes:1-1..1-4", "did you mean 'on-success'?"),
        (":1-1..1-4", "choose one of random"),
        ("2-1..1-1", "write '1-1..2-1' instead"),
        ("1-1..9-9", "no level '9-9'"),
        ("1-1..", "no level ''"),
        ("weighted:", "no level ''"),
        ("random:1-1,,1-2", "no level ''"),
        ("", "no level ''"),
        ("full:1-1", "choose one of"),
    ],
)
def test_wrong_texts(text, says):
    with pytest.raises(LevelError, match=r"\A[^\n]*\Z") as error:
        resolve_schedule(text)
    assert says in str(error.value)


def test_wrong_numbers():
    with pytest.raises(OptionError, match="wins=0"):
        OnSuccess(WORLD_1, 0)
    for memory in (0, float("nan")):
        with pytest.raises(OptionError, match="memory="):
            Weighted(WORLD_1, memory)


# -- what environments tell them -------------------------------------------------------------


def die(env: gymnasium.Env) -> None:
    while not env.step(128)[2]:  # right, into the first enemy
        pass


def test_the_environment_tells_how_its_episodes_went(way):
    schedule = Listener((Level(1, 1),))
    env = MarioEnv(level=schedule)
    told = schedule.told
    env.reset(seed=0)
    die(env)
    assert told == [("1-1", False)]
    env.reset()
    for byte in way.actions:
        env.step(byte)
    assert told[1:] == [("1-1", True)]
    env.reset()
    env.reset()  # left
    assert told[2:] == [("1-1", False)]
    env.reset(seed=1)  # a seed begins anew
    assert schedule.restarts == 2
    env.reset(options={"level": "1-2"})  # nor is this one reported
    die_or_stop(env)
    env.reset(options={"start": env.start_point()})
    die_or_stop(env)
    assert len(told) == 3
    env.reset()
    context = Context(env)
    saved = context.save()
    die(env)
    assert told[3:] == [("1-1", False)]
    context.load(saved)
    die(env)  # practice
    env.reset()
    assert len(told) == 4


def die_or_stop(env: gymnasium.Env) -> None:
    for _ in range(600):
        if env.step(129)[2]:
            return


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_the_vector_tells_the_same(mode):
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    options = dict(actions="raw", frame_skip=1, screen_size=(30, 32), noop_max=3, stall_limit=30)
    schedules = [Listener(WORLD_1) for _ in range(3)]
    singles = SyncVectorEnv(
        [
            lambda s=schedule: gymnasium.make("MarioTrain-v0", level=s, **options)
            for schedule in schedules
        ],
        autoreset_mode=AutoresetMode(mode),
    )
    others = [Listener(WORLD_1) for _ in range(3)]
    vector = gymnasium.make_vec("MarioTrain-v0", 3, levels=others, autoreset_mode=mode, **options)
    rng = np.random.default_rng(0)
    singles.reset(seed=5)
    vector.reset(seed=5)
    for step in range(900):
        if step % 20 == 0:
            actions = rng.choice([128, 128, 129, 0], 3)
        *_, ours = vector.step(actions)
        *_, theirs = singles.step(actions)
        assert list(ours["level"]) == list(theirs["level"])
    assert [schedule.told for schedule in others] == [schedule.told for schedule in schedules]
    assert sum(len(schedule.told) for schedule in others) > 8
    vector.reset(seed=5)
    assert [schedule.restarts for schedule in others] == [2, 2, 2]


@pytest.mark.parametrize("order", ["on-success", "weighted", "worst"])
def test_a_win_is_heard_in_the_vector(order, way):
    one = dict(actions="raw", frame_skip=1, observation="ram", frame_stack=1)
    vector = gymnasium.make_vec("MarioTrain-v0", 1, level=f"{order}:1-1..1-2", **one)
    single = gymnasium.make("MarioTrain-v0", level=f"{order}:1-1..1-2", **one)
    _, info = single.reset(seed=2)
    assert info["level"] == vector.reset(seed=2)[1]["level"][0] == "1-1", "the way is for 1-1"
    levels = []
    for byte in (*way.actions, *[0] * 3):
        infos = vector.step(np.array([byte]))[4]
        levels.append(infos["level"][0])
    for byte in way.actions:
        *_, terminated, _, info = single.step(byte)
    assert terminated
    assert info["flag_get"]
    assert single.reset()[1]["level"] == levels[-1]
    if order == "on-success":
        assert levels[-1] == "1-2"


@pytest.mark.parametrize("end_on_exit", [True, False])
@pytest.mark.parametrize("vector", [False, True], ids=["single", "vector"])
def test_a_warp_and_the_flag_of_another_level_are_no_success(vector, end_on_exit, monkeypatch):
    begin_late(monkeypatch, Level(1, 2), Level(1, 2), warp_run()[:-1])
    schedules = [OnSuccess([Level(1, 2), Level(1, 3)]), Weighted([Level(1, 2)])]
    actions = [*warp_run()[-1:], *[0x82] * (0 if end_on_exit else 400)]
    for schedule in schedules:
        kwargs = dict(level=schedule, observation="ram", end_on_exit=end_on_exit)
        if vector:
            env = gymnasium.make_vec("Mario-v0", 1, levels=[kwargs.pop("level")], **kwargs)
        else:
            env = gymnasium.make("Mario-v0", **kwargs)
        env.reset(seed=0)
        for action in actions:
            *_, terminated, _, _ = env.step(np.array([action]) if vector else action)
            if np.all(terminated):
                break
        assert np.all(terminated)
        assert env.reset()[1]["level"] == "1-2"
    assert schedules[1]._tried[Level(1, 2)] == (1, 0)


@pytest.mark.parametrize("order", ORDERS)
def test_a_seed_decides_the_levels(order):
    env = gymnasium.make("Mario-v0", level=f"{order}:1-1..1-3", observation="ram")
    check_env(env.unwrapped, skip_render_check=True)
    runs = []
    for _ in range(2):
        levels = [env.reset(seed=3)[1]["level"]]
        for _ in range(12):
            die_or_stop(env)
            levels.append(env.reset()[1]["level"])
        runs.append(levels)
    assert runs[0] == runs[1]


def test_the_vector_takes_no_points():
    env = MarioEnv()
    env.reset()
    vector = gymnasium.make_vec("MarioTrain-v0", 1)
    with pytest.raises(OptionError, match="for single environments"):
        vector.reset(options={"start": env.start_point()})


@pytest.mark.parametrize("kind", [Sequential, OnSuccess, Weighted])
@given(outcomes=st.lists(st.booleans(), max_size=30))
def test_a_schedule_goes_on_from_its_state_and_begins_there_when_seeded(kind, outcomes):
    first, second = kind(WORLD_1), kind(WORLD_1)
    rng = np.random.default_rng(0)

    def follow(schedule, rng, outcomes):
        levels = []
        for success in outcomes:
            levels.append(schedule.next(rng))
            if hasattr(schedule, "record"):
                schedule.record(levels[-1], success)
        return levels

    follow(first, rng, outcomes)
    state = json.loads(json.dumps(first.state()))
    second.restore(state)
    assert second.state() == state
    more = [True, False] * 6
    expected = follow(first, np.random.default_rng(1), more)
    assert follow(second, np.random.default_rng(1), more) == expected
    second.restart()
    assert second.state() == state


@pytest.mark.parametrize("kind", [Sequential, OnSuccess, Weighted])
@pytest.mark.parametrize(
    "change",
    [
        {"levels": ["1-1"]},
        {"position": 4, "tried": [[1, 2]] * 4},
        {"position": -1, "tried": [[1, 1]] * 3},
        {"position": 1.0, "tried": [[float("nan"), 0]] * 4},
        {"position": None, "tried": 3},
        {"position": True, "tried": [["a", "b"]] * 4},
    ],
)
def test_a_state_of_another_schedule_is_refused_and_changes_nothing(kind, change):
    schedule = kind(WORLD_1)
    before = schedule.state()
    for foreign in ({**before, **change}, [], None):
        with pytest.raises(ConfigError, match="is not the state of a schedule over these levels"):
            schedule.restore(foreign)
    assert schedule.state() == before
