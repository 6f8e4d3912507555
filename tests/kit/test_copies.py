"""``copy.deepcopy`` and pickle carry the whole state; then both go on alike, and by themselves."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mario_envkit
from mario_envkit import MarioEnv, make_mario
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.curriculum.schedule import OnSuccess, Sequential
from mario_envkit.emulator.backends import available_backends
from mario_envkit.emulator.nes_py import nes_py_version
from mario_envkit.errors import BackendUnavailable, EmulatorClosed
from mario_envkit.game.levels import Level
from mario_envkit.snapshots.context import Context
from tests.waiting import PATIENCE

WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda env: pickle.loads(pickle.dumps(env))}
RIGHT, JUMP = 1, 2
ALL = {
    "actions": "simple", "frame_skip": 4, "repeat_action_probability": 0.25, "noop_max": 8,
    "stall_limit": 12, "max_pool": True, "reward": "v9", "frame_stack": 3, "crop_top": 32,
    "grayscale": True, "screen_size": 42, "blank_probability": 0.5,
}  # fmt: skip
ENVS: dict[str, tuple[str, dict[str, Any]]] = {
    "Mario-v0": ("Mario-v0", {}),
    "MarioTrain-v0": ("MarioTrain-v0", {"max_episode_steps": 60}),
    "MarioTiles-v0": ("MarioTiles-v0", {"level": "sequential:1-1..1-3"}),
    "every option": ("MarioTrain-v0", {**ALL, "level": "random"}),
    "full game, as nes-py": ("MarioTrain-v0", {"level": "full", "timing": "nes-py"}),
    "drop-in": ("mario_envkit/SuperMarioBrosRandomStages-v3", {}),
    "snapshots": ("MarioSnapshot-v0", {"checkpoint_interval": 60}),
    "snapshots at resets": (
        "MarioSnapshot-v0",
        {**ALL, "restore": "on_reset", "start_states": 0.5, "level": "on-success:1-1..1-2",
         "checkpoint_interval": 40, "max_episode_steps": 80},
    ),
}  # fmt: skip


def said(step: tuple[Any, ...]) -> str:
    """All that a step or reset returned, as text: arrays by their bytes."""
    return repr([_plain(part) for part in step])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in sorted(value.items())}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, hashlib.sha256(value.tobytes()).hexdigest()
    return value.item() if isinstance(value, np.generic) else value


class Player:
    """Plays mostly to the right, resets when it must, and remembers what was said."""

    def __init__(self, env: gymnasium.Env[Any, Any], over: bool = False) -> None:
        self.env, self.over = env, over

    def act(self, choice: int) -> str:
        if self.over:
            self.over = False
            return said(self.env.reset())
        joypad = (128, 129, 131, 130) if self.env.action_space.n == 256 else (1, 2, 3, 4)
        step = self.env.step(joypad[choice])
        self.over = bool(step[2] or step[3])
        return said(step)


def begun(name: str) -> Player:
    env_id, options = ENVS[name]
    env = gymnasium.make(env_id, **options)
    env.reset(seed=3)
    return Player(env)


@pytest.mark.filterwarnings("ignore:.*out of date")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ENVS)
def test_both_go_on_alike(name, way):
    player = begun(name)
    choices = np.random.default_rng(0).integers(4, size=500).tolist()
    for choice in choices[:150]:
        player.act(choice)
    other = Player(WAYS[way](player.env), player.over)
    expected = [player.act(choice) for choice in choices[150:]]
    assert [other.act(choice) for choice in choices[150:]] == expected


@pytest.mark.filterwarnings("ignore:.*out of date")
@pytest.mark.parametrize("name", ENVS)
@settings(max_examples=5)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("step"), st.integers(0, 3), st.integers(1, 40)),
            st.tuples(st.sampled_from(sorted(WAYS)), st.integers(0, 3), st.integers(0, 20)),
        ),
        min_size=3,
        max_size=12,
    )
)
@pytest.mark.slow
def test_a_copy_of_a_copy_is_none_the_worse(name, operations):
    """Whatever is copied when, and whatever the copy left behind does then."""
    never_copied, player = begun(name), begun(name)
    for what, choice, count in operations:
        if what == "step":
            for _ in range(count):
                assert player.act(choice) == never_copied.act(choice)
        else:
            left = player
            player = Player(WAYS[what](left.env), left.over)
            for _ in range(count):
                left.act(choice)


def test_in_another_process():
    player = begun("snapshots at resets")
    for _ in range(100):
        player.act(RIGHT)
    message = pickle.dumps((player.env, player.over))
    code = (
        "import pickle, sys, json\n"
        "from tests.kit.test_copies import Player\n"
        "player = Player(*pickle.loads(sys.stdin.buffer.read()))\n"
        "print(json.dumps([player.act(number % 4) for number in range(200)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=message,
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    expected = [player.act(number % 4) for number in range(200)]
    assert json.loads(done.stdout.splitlines()[-1]) == expected


@pytest.mark.skipif(nes_py_version() is None, reason="needs nes-py")
@pytest.mark.parametrize("way", WAYS)
def test_on_nes_py(way):
    env = gymnasium.make("MarioTrain-v0", backend="nes-py", screen_size=None, grayscale=False)
    env.reset(seed=0)
    player = Player(env)
    for _ in range(15):
        player.act(0)
    env.unwrapped.emulator.ram[0x75A] = 7  # lives: a write from outside
    other = Player(WAYS[way](env))
    expected = [player.act(number % 4) for number in range(15)]
    assert [other.act(number % 4) for number in range(15)] == expected
    assert other.env.unwrapped.emulator.ram[0x75A] == 7


@pytest.mark.parametrize("way", WAYS)
def test_one_that_was_never_reset(way):
    env = WAYS[way](gymnasium.make("MarioTrain-v0", level="random"))
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(RIGHT)
    expected = gymnasium.make("MarioTrain-v0", level="random").reset(seed=5)
    assert said(env.reset(seed=5)) == said(expected)
    bare = WAYS[way](make_mario())
    assert said(bare.reset(seed=5)) == said(make_mario().reset(seed=5))


@pytest.mark.parametrize("way", WAYS)
def test_the_rest_of_what_an_environment_is(way):
    env = gymnasium.make("MarioTrain-v0", level="1-2", render_mode="rgb_array")
    env.reset(seed=0)
    env.action_space.seed(1)
    env.step(RIGHT)
    other = WAYS[way](env)
    assert other.spec == env.spec
    assert np.array_equal(other.render(), env.render())
    assert other.action_space.sample() == env.action_space.sample()
    assert other.np_random.random() == env.np_random.random()
    assert other.observation_space == env.observation_space
    assert other.unwrapped.emulator is not env.unwrapped.emulator
    env.close()
    assert not np.array_equal(other.step(RIGHT)[0], np.zeros_like(other.observation_space.low))


@pytest.mark.parametrize("env_id", ["Mario-v0", "MarioSnapshot-v0"])
def test_a_pickle_holds_no_part_of_the_cartridge(env_id):
    envs: list[Any] = [gymnasium.make(env_id), gymnasium.make_vec(env_id, num_envs=2)]
    program = envs[0].unwrapped.cartridge.program
    parts = [program[start : start + 64] for start in range(0, len(program), 1024)]
    for env in envs:
        env.reset(seed=0)
        pickled = pickle.dumps(env)
        assert not any(part in pickled for part in parts if len(set(part)) > 8)


def test_a_relative_path_is_found_from_another_directory(tmp_path, monkeypatch):
    (tmp_path / "game.nes").write_bytes(MarioEnv().cartridge.data)
    monkeypatch.chdir(tmp_path)
    env = MarioEnv(rom="game.nes")
    env.reset(seed=0)
    pickled = pickle.dumps(env)
    expected = said(env.step(128))
    monkeypatch.chdir("/")
    assert said(pickle.loads(pickled).step(128)) == expected


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_go_along_stays(way):
    seen: list[int] = []
    env = MarioEnv()
    env.on_frame = lambda picture: seen.append(picture.shape[0])
    env.reset(seed=0)
    other = WAYS[way](env)
    other.step(128)
    assert seen == [240]
    assert other.on_frame is None
    env.close()
    closed = WAYS[way](env)
    closed.close()
    with pytest.raises(EmulatorClosed):
        closed.step(128)


def test_copies_have_schedules_of_their_own():
    """Also where the schedule was given as an object, which stays the original's."""
    for schedule in (Sequential([Level(1, 1), Level(1, 2)]), OnSuccess([Level(1, 1)], wins=2)):
        env = MarioEnv(level=schedule)
        env.reset(seed=0)
        other = copy.deepcopy(env)
        assert other.schedule is not schedule
        assert env.schedule is schedule
        assert other._levels.schedule is other.schedule
        assert other.reset()[1]["level"] == env.reset()[1]["level"]


def test_a_shallow_copy_has_a_console_of_its_own():
    env = MarioEnv()
    env.reset(seed=0)
    other = copy.copy(env)
    expected = [said(env.step(128)) for _ in range(30)]
    assert [said(other.step(128)) for _ in range(30)] == expected


def die(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """Run to the right until a life is lost."""
    for _ in range(300):
        *_, terminated, _, info = env.step(RIGHT)
        if info["life_lost"]:
            if terminated:
                env.reset()
            return info
    raise AssertionError("Mario did not die")


@pytest.mark.parametrize("way", WAYS)
def test_snapshots_in_memory_belong_to_the_copy(way):
    env = mario_envkit.create_snapshot_mario_env(checkpoint_interval=30)
    env.reset(seed=0)
    die(env)
    other = WAYS[way](env)
    ours, theirs = env.handler, other.handler
    assert theirs.archive is not ours.archive
    assert [e.place for e in theirs.archive] == [e.place for e in ours.archive]
    assert theirs.attempts._practising is theirs.archive.get(theirs.attempts._practising.place)
    assert theirs._context._game is other.unwrapped
    deaths, attempts = (
        ours.hotspots.aggregate.deaths("1-1"),
        ours.attempts._practising.practice.attempts,
    )
    practised = ours.attempts._practising
    die(other)
    assert ours.hotspots.aggregate.deaths("1-1") == deaths
    assert practised.practice.attempts == attempts
    assert env.total_restores + 1 == other.total_restores


@pytest.mark.parametrize("way", WAYS)
def test_files_are_shared_by_their_paths(way, tmp_path):
    hotspots, archive = tmp_path / "deaths.json", tmp_path / "snapshots"
    env = mario_envkit.create_snapshot_mario_env(
        hotspot_path=hotspots, archive=archive, checkpoint_interval=30
    )
    env.reset(seed=0)
    die(env)
    other = WAYS[way](env)
    die(other)
    env.close()
    other.close()
    assert DeathHotspotAggregate.load_or_create(hotspots).deaths("1-1") == 2
    assert len(list(archive.iterdir())) == len(other.handler.archive) > 0


@pytest.mark.parametrize("backend", available_backends())
def test_an_emulator_alone_is_not_copied(backend):
    console = MarioEnv(backend=backend).emulator
    for way in (*WAYS.values(), copy.copy):
        with pytest.raises(BackendUnavailable, match="load what save"):
            way(console)


def test_a_context_follows_its_environment():
    """A deepcopied environment restores into itself, not into the one that it is a copy of."""
    env = make_mario(frame_skip=4, actions="simple", frame_stack=2)
    env.reset(seed=0)
    together = copy.deepcopy({"env": env, "context": Context(env)})
    env.step(RIGHT)
    saved = together["context"].save()
    expected = [said(together["env"].step(JUMP)) for _ in range(5)]
    here = said(env.step(RIGHT))
    together["context"].load(saved)
    assert [said(together["env"].step(JUMP)) for _ in range(5)] == expected
    again = make_mario(frame_skip=4, actions="simple", frame_stack=2)
    again.reset(seed=0)
    again.step(RIGHT)
    assert said(again.step(RIGHT)) == here
