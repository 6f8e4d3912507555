"""Episodes that begin at archived snapshots."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.curriculum.start_states import Start, StartStateSampler
from mario_envkit.errors import OptionError
from mario_envkit.game.levels import Level
from mario_envkit.snapshots import (
    ArchivedSnapshot,
    Place,
    Practice,
    SnapshotArchive,
    SnapshotMarioEnvironment,
    create_snapshot_mario_env,
)
from tests.snapshots.playing import draw_action, play_to_death

LEVEL = Level(1, 1)


def entry(x: int, attempts: int = 0, successes: int = 0) -> ArchivedSnapshot:
    place = Place("1-1", 0, x // 25, 0, (0, 0))
    practice = Practice(attempts, successes)
    return ArchivedSnapshot(place, None, np.zeros(1), {"x_pos": x, "frame": x}, practice)  # type: ignore[arg-type]


def play(env: Any, steps: int, seed: int = 0) -> list[Any]:
    """Everything that is said; resets included."""
    rng = np.random.default_rng(seed)
    said: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        said.append(env.step(draw_action(env, rng)))
        if said[-1][2] or said[-1][3]:
            said.append(env.reset())
    return said


# -- choosing --------------------------------------------------------------------------------


@given(
    st.floats(0, 1),
    st.integers(0, 8),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5),
    st.integers(0, 2**32),
)
def test_what_is_chosen_is_in_the_archive_and_a_seed_decides_it(share, jitter, counts, seed):
    entries = [entry(i, max(pair), min(pair)) for i, pair in enumerate(counts)]
    sampler = StartStateSampler(share, jitter)
    for _ in range(20):
        start, again = (
            sampler.choose(LEVEL, entries, np.random.default_rng(seed)) for _ in range(2)
        )
        if start is None:
            assert again is None
            assert share < 1 or not entries
        else:
            assert any(start.origin is known for known in entries)
            assert start.origin is again.origin
            assert 0 <= start.jitter == again.jitter <= jitter


def test_the_mixture():
    unknown, middling = entry(0), entry(1, 20, 10)
    hopeless, mastered = entry(2, 40, 0), entry(3, 40, 40)
    sampler = StartStateSampler(0.35)
    rng = np.random.default_rng(0)
    starts = [
        sampler.choose(LEVEL, [unknown, middling, hopeless, mastered], rng) for _ in range(10_000)
    ]
    chosen = Counter(start.origin.x_pos for start in starts if start)
    assert chosen.total() / 10_000 == pytest.approx(0.35, abs=0.02)
    assert chosen[0] / chosen.total() == pytest.approx(1 / 2.2, abs=0.03)
    assert chosen[1] / chosen.total() == pytest.approx(1 / 2.2, abs=0.03)
    assert chosen[2] / chosen.total() == pytest.approx(0.1 / 2.2, abs=0.015)
    assert chosen[3] / chosen.total() == pytest.approx(0.1 / 2.2, abs=0.015)
    assert {start.jitter for start in starts if start} == set(range(9))


# -- in an environment -----------------------------------------------------------------------


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_episodes_begin_at_snapshots_and_say_so(restore):
    env = create_snapshot_mario_env(
        restore=restore,
        checkpoint_interval=60,
        max_restores_without_progress=1,
        start_states=StartStateSampler(0.5, jitter=0),
    )
    rng = np.random.default_rng(0)
    observation, info = env.reset(seed=0)
    assert info["start"] == "true"
    saved: dict[tuple[int, ...], list[Any]] = defaultdict(list)
    begins: Counter[str] = Counter(["true"])
    for _ in range(8000):
        begun = info["start"]
        observation, _, terminated, truncated, info = env.step(draw_action(env, rng))
        assert info["start"] == begun
        if info["snapshot_saved"]:
            saved[where(info)].append(observation)
        if terminated or truncated:
            restoring = env.get_stats()["state"] == "restoring"
            attempts = env.get_stats()["levels"]["1-1"]["attempts"]
            assert attempts == begins["true"], "only true starts count"
            observation, info = env.reset()
            begins["restore" if restoring else info["start"]] += 1
            assert info["snapshot_restored"] == (info["start"] == "archive")
            if info["start"] == "archive":
                assert any(np.array_equal(observation, each) for each in saved[where(info)])
            else:
                assert info["frame"] == 0
    assert begins["archive"] > 3
    assert begins["true"] > 5
    assert bool(begins["restore"]) == (restore == "on_reset")


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
@pytest.mark.slow
def test_a_seed_decides_everything(restore):
    env = create_snapshot_mario_env(
        restore=restore, checkpoint_interval=60, start_states=0.5, level="1-1..1-2",
        repeat_action_probability=0.25,
    )  # fmt: skip
    once, again = play(env, 700), play(env, 700)
    np.testing.assert_equal(once, again)
    assert {said[-1]["start"] for said in once} == {"true", "archive"}
    other = create_snapshot_mario_env(
        restore=restore, checkpoint_interval=60, start_states=0.5, level="1-1..1-2",
        repeat_action_probability=0.25,
    )  # fmt: skip
    np.testing.assert_equal(once, play(other, 700))


def where(info: dict[str, Any]) -> tuple[int, ...]:
    return info["frame"], info["x_pos"], info["y_pos"]


class Always:
    """Begins at the newest snapshot, and writes down what came of it."""

    def __init__(self, jitter: int = 0, reach: int | None = 150) -> None:
        self.jitter, self.reach = jitter, reach
        self.outcomes: list[tuple[Start, bool]] = []
        self.asked: list[Level | None] = []

    def choose(self, level, archived, rng):
        self.asked.append(level)
        return Start(archived[-1], self.jitter, self.reach) if archived else None

    def record(self, start, success):
        self.outcomes.append((start, success))

    def forget(self):
        self.outcomes.clear()


def practising(states: Always, **kwargs: Any) -> SnapshotMarioEnvironment:
    """An environment that has given up and has snapshots, with a true start behind it."""
    env = create_snapshot_mario_env(
        start_states=states, checkpoint_interval=60, max_restores_without_progress=0, **kwargs
    )
    env.reset(seed=0)
    play_to_death(env)
    assert len(env.handler.archive)
    return env


def test_success_is_new_ground_or_the_flag():
    states = Always(reach=20)
    env = practising(states)
    env.reset()
    play_to_death(env)
    ((start, success),) = states.outcomes
    assert success, "the enemy is further than 20 px"
    assert (start.origin.practice.attempts, start.origin.practice.successes) == (1, 1)
    states.reach = 10_000
    env.reset()
    play_to_death(env)
    assert states.outcomes[1][1] is False
    assert (start.origin.practice.attempts, start.origin.practice.successes) == (2, 1)
    assert env.get_stats()["levels"]["1-1"]["attempts"] == 1
    assert env.get_stats()["levels"]["1-1"]["deaths"] == 3


def test_an_episode_that_is_left_or_cut_off_has_an_outcome():
    states = Always(reach=10_000)
    env = practising(states, stall_limit=10)
    env.reset()
    env.step(1)
    env.reset()
    assert [success for _, success in states.outcomes] == [False]
    while not env.step(0)[3]:
        pass
    assert [success for _, success in states.outcomes] == [False, False]
    env.reset()
    env.reset(seed=0)  # forgets
    assert states.outcomes == []


def test_only_snapshots_of_the_level_are_offered():
    offered = []

    class Asked(Always):
        def choose(self, level, archived, rng):
            offered.append((level, {entry.level for entry in archived}))
            return

    env = create_snapshot_mario_env(start_states=Asked(), checkpoint_interval=60, level=["1-1"])
    archive = env.handler.archive
    full = create_snapshot_mario_env(level="full", archive=archive, checkpoint_interval=60)
    full.reset(seed=0)
    for _ in range(40):
        full.step(1)
    assert {entry.level for entry in archive} == {None}
    env.reset()
    assert offered == [(LEVEL, set())]


def test_jitter_is_random_and_never_ends_an_episode():
    env = practising(Always(jitter=8), archive=SnapshotArchive(doomed_after=1000))
    origins = [entry.tick for entry in env.handler.archive]
    begins = set()
    for _ in range(30):
        _, info = env.reset()
        begins.add((info["frame"], info["x_pos"]))
        assert not info["life_lost"]
        assert info["start"] == "archive"
        assert {info["frame"], info["frame"] - 32} & set(origins)
        env.step(1)
    assert len(begins) > 3, "eight random actions do not lead to the same place"


def test_jitter_presses_neither_start_nor_select():
    env = create_snapshot_mario_env(
        start_states=Always(jitter=8),
        checkpoint_interval=60,
        actions="raw",
        frame_skip=1,
        archive=SnapshotArchive(doomed_after=1000),
    )
    env.reset(seed=0)
    for _ in range(100):
        env.step(128)
    pressed = []
    step = env.env.step
    env.env.step = lambda action: pressed.append(action) or step(action)  # type: ignore[method-assign]
    for _ in range(60):
        env.reset()
    assert len(set(pressed)) > 30
    assert not any(byte & 0b1100 for byte in pressed)


@pytest.mark.parametrize(
    "reset", [{"seed": 3}, {"options": {"true_start": True}}, {"options": {"level": "1-2"}}]
)
def test_a_true_start_can_be_asked_for(reset):
    states = Always()
    env = practising(states)
    asked = len(states.asked)
    _, info = env.reset(**reset)
    assert (info["start"], info["frame"], info["snapshot_restored"]) == ("true", 0, False)
    assert len(states.asked) == asked


def test_a_point_can_be_asked_for():
    env = create_snapshot_mario_env()
    env.reset(seed=0)
    for _ in range(15):
        env.step(1)
    point = env.unwrapped.start_point()
    observation, info = env.reset(options={"start": point})
    assert info["frame"] == 60
    assert all(np.array_equal(frame, observation[0]) for frame in observation)
    *_, info = env.step(1)
    assert info["frame"] == 64
    play_to_death(env)
    assert env.get_stats()["levels"]["1-1"]["attempts"] == 0, "no true start"
    with pytest.raises(OptionError, match="start_point"):
        env.reset(options={"start": "1-1"})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (1.5, "0 to 1"), (-0.1, "0 to 1"), (True, "0 to 1"),
        (float("nan"), "0 to 1"), ("archive", "an object with choose()"), ([], "choose()"),
    ],
)  # fmt: skip
def test_wrong_start_states(wrong, says):
    with pytest.raises(OptionError, match=r"\A[^\n]*\Z") as error:
        gymnasium.make("MarioSnapshot-v0", start_states=wrong)
    assert says in str(error.value)


def test_wrong_numbers():
    for kwargs in ({"jitter": -1}, {"jitter": 1.5}, {"reach": 0}):
        with pytest.raises(OptionError, match=f"{next(iter(kwargs))}="):
            StartStateSampler(**kwargs)
    archive = SnapshotArchive()
    inner = gymnasium.wrappers.TransformAction(
        create_snapshot_mario_env(archive=archive).env, int, gymnasium.spaces.MultiBinary(3)
    )
    with pytest.raises(OptionError):
        SnapshotMarioEnvironment(inner, start_states=0.3)
