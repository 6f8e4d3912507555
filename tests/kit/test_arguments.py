"""Every argument of every public constructor works, or is refused in a sentence that names it."""

from __future__ import annotations

import enum
import inspect
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mario_envkit.curriculum.schedule as schedules
import mario_envkit.game.rewards as rewards
import mario_envkit.wrappers as wrappers
from mario_envkit import (
    MarioEnv,
    MarioEnvkitError,
    MarioVectorEnv,
    Picture,
    RewardFunction,
    Snapshot,
    create_snapshot_mario_env,
    make_mario,
)
from mario_envkit.curriculum import level_text
from mario_envkit.curriculum.backward import BackwardCurriculum, BackwardStarts
from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.curriculum.level_text import resolve_schedule
from mario_envkit.curriculum.runs import Run, run_path
from mario_envkit.curriculum.search import solve
from mario_envkit.curriculum.start_states import StartStateSampler
from mario_envkit.emulator.backends import make_emulator
from mario_envkit.emulator.native import NativeEmulator
from mario_envkit.emulator.rom import find_rom, read_rom
from mario_envkit.errors import OptionError
from mario_envkit.game import levels, start
from mario_envkit.game.levels import Level, all_levels, parse_level
from mario_envkit.game.state import GameState
from mario_envkit.maps import draw_level, save_png
from mario_envkit.snapshots import (
    MarioSnapshotVectorEnv,
    SnapshotArchive,
    SnapshotMarioEnvironment,
    SnapshotRules,
)

WORLD_1 = [Level(1, 1), Level(1, 2)]
RUN = Run(Level(1, 1), bytes(64), "console", "native/console", "0" * 64)
STATE = GameState(*[0] * len(GameState._fields))


class Odd:
    """An object that answers nothing that one can rely on."""

    def __bool__(self) -> bool:
        raise ValueError("no truth value")

    def __eq__(self, other: object) -> Any:
        return np.array([True, False])

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Colour(enum.Enum):
    RED = 1


RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)

HOSTILE: list[Any] = [
    None, True, False, 0, 1, -1, 2, 255, 256, 2**31, 2**63, 2**70, -(2**70), 10**9, 10**5000,
    0.5, 1.5, 2.5, 4.0, -0.5, 1e308, math.nan, math.inf, -math.inf, 1j,
    "", " ", "no", "1-1", "1-1..1-3", "9-9", "full", "random", "all", ":", "\0", "\ud800",
    "x" * 5000, "4", "rgb_array", "nes-py", "console", "tiles", "simple", "raw", "progress",
    "contrast",
    b"", b"simple", bytearray(b"1-1"), memoryview(b"1-1"),
    [], [1], [1, 1], [1, 2.5], [[]], [["right", "A"], []], [None], ["1-1", "1-2"], RECURSIVE,
    (), (84,), (84, 84), (84, 84, 84), (1.5, 2), (-1, -1), (2**70, 2**70), ("1-1",), (None, None),
    {}, {"level": "1-1"}, {"a": 1}, set(), frozenset({1}), range(3), range(32), iter([1]),
    np.int64(4), np.uint8(2), np.float32(0.25), np.float64("nan"), np.bool_(True), np.str_("1-1"),
    np.array(4), np.array(0.25), np.array(True), np.array([4]), np.array([84, 84]), np.arange(32),
    np.array([]), np.array(["1-1", "1-2"]), np.array([[1, 1], [1, 2]]), np.array([True, False]),
    np.array([Odd()]), np.array(None), np.zeros((2, 2)), np.datetime64("2020-01-01"),
    Decimal("0.5"), Fraction(1, 2), Path("somewhere"), Path(), Colour.RED, Odd(), object(), int,
    len, Picture(), Level(1, 1), Level(9, 9), RewardFunction, rewards.V7, WORLD_1, RUN, STATE,
]  # fmt: skip

hostile = st.sampled_from(HOSTILE) | st.one_of(
    st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=8),
    st.lists(st.integers() | st.text(max_size=4), max_size=3), st.tuples(st.integers()),
)  # fmt: skip


# -- what a success must be good for --------------------------------------------------------------


def play(env: gymnasium.Env[Any, Any]) -> None:
    with closing(env):
        env.reset(seed=0)
        env.step(0)


def play_vector(env: MarioVectorEnv) -> None:
    with closing(env):
        env.reset(seed=0)
        env.step(np.zeros(env.num_envs, np.int64))


def reward(function: RewardFunction) -> None:
    value, _, _ = function(function.start(STATE), STATE)
    assert math.isfinite(value)


def draw_from(schedule: Any) -> None:
    parse_level(schedule.next(np.random.default_rng(0)) or "1-1")


def note_death(deaths: DeathHotspotAggregate) -> None:
    deaths.record_death("1-1", 500)
    deaths.suggest_restore_position("1-1", 530)
    if deaths.path is not None:
        deaths.save()


def move_back(curriculum: BackwardCurriculum) -> None:
    curriculum.choose(np.random.default_rng(0))
    curriculum.record(curriculum.position, True)


def nothing(result: Any) -> None:
    """Having been made is enough."""


@dataclass(frozen=True)
class Target:
    """Something public to call.

    Attributes:
        call: it.
        base: arguments that it needs, by name.
        use: what its result must be good for.
        also: functions to which it passes keyword arguments on.
    """

    call: Callable[..., Any]
    base: dict[str, Any] = field(default_factory=dict)
    use: Callable[[Any], None] = nothing
    also: tuple[Callable[..., Any], ...] = ()

    @property
    def parameters(self) -> list[str]:
        return [
            name
            for source in (self.call, *self.also)
            for name, parameter in inspect.signature(source).parameters.items()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ]


def wrapped(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper around a game of its own, so that a failure leaves nothing open."""

    def make(**kwargs: Any) -> Any:
        return wrapper(**{"env": MarioEnv(), **kwargs})

    make.__signature__ = inspect.signature(wrapper)  # type: ignore[attr-defined]
    return make


def of(owner: Any, name: str) -> Callable[..., Any]:
    """A method of a new object of a class, or a function of a module, which need not have it."""

    def call(**kwargs: Any) -> Any:
        return getattr(owner() if isinstance(owner, type) else owner, name)(**kwargs)

    return call


def registered(env_id: str, entry: Callable[..., Any]) -> Target:
    def make(**kwargs: Any) -> Any:
        spec = gymnasium.spec(env_id)
        return entry(**{**spec.kwargs, **kwargs})

    make.__signature__ = inspect.signature(entry)  # type: ignore[attr-defined]
    return Target(make, {}, play, (make_mario, MarioEnv))


VECTOR = {"num_envs": 2, "num_threads": 1}
TERMS = ("Clock", "Coins", "Death", "Distance", "Flag", "PowerUp", "Progress", "Score")
TARGETS = {
    "MarioEnv": Target(MarioEnv, {}, play),
    "make_mario": Target(make_mario, {}, play, (MarioEnv,)),
    "MarioTrain-v0": registered("MarioTrain-v0", make_mario),
    "MarioTiles-v0": registered("MarioTiles-v0", make_mario),
    "SuperMarioBros-v0": registered("mario_envkit/SuperMarioBros-v0", make_mario),
    "MarioSnapshot-v0": registered("MarioSnapshot-v0", create_snapshot_mario_env),
    "MarioVectorEnv": Target(MarioVectorEnv, VECTOR, play_vector, (make_mario, MarioEnv)),
    "MarioSnapshotVectorEnv": Target(
        MarioSnapshotVectorEnv, VECTOR, play_vector, (MarioVectorEnv, make_mario, MarioEnv)
    ),
    "SnapshotMarioEnvironment": Target(wrapped(SnapshotMarioEnvironment), {}, play),
    "ButtonActions": Target(wrapped(wrappers.ButtonActions), {}, play),
    "FrameSkip": Target(wrapped(wrappers.FrameSkip), {}, play),
    "NoopReset": Target(wrapped(wrappers.NoopReset), {}, play),
    "StallLimit": Target(wrapped(wrappers.StallLimit), {"limit": 5}, play),
    "Picture": Target(Picture, {}, lambda picture: play(MarioEnv(picture=picture))),
    "RewardFunction": Target(RewardFunction, {"terms": (rewards.Death(),)}, reward),
    **{
        name: Target(getattr(rewards, name), {}, lambda term: reward(RewardFunction((term,))))
        for name in TERMS
    },
    "Fixed": Target(schedules.Fixed, {"level": Level(1, 1)}, draw_from),
    "Random": Target(schedules.Random, {"levels": WORLD_1}, draw_from),
    "Sequential": Target(schedules.Sequential, {"levels": WORLD_1}, draw_from),
    "OnSuccess": Target(schedules.OnSuccess, {"levels": WORLD_1}, draw_from),
    "Weighted": Target(schedules.Weighted, {"levels": WORLD_1}, draw_from),
    "resolve_schedule": Target(resolve_schedule, {"level": "1-1"}, draw_from),
    "parse_level": Target(parse_level, {"value": "1-1"}, str),
    "all_levels": Target(all_levels, {}, len),
    "SnapshotArchive": Target(SnapshotArchive, {}, len),
    "SnapshotArchive.load": Target(SnapshotArchive.load, {"directory": "archive"}, len),
    "SnapshotRules": Target(SnapshotRules),
    "DeathHotspotAggregate": Target(DeathHotspotAggregate, {}, note_death),
    "load_or_create": Target(
        DeathHotspotAggregate.load_or_create, {"path": "deaths.json"}, note_death
    ),
    "SharedHotspots": Target(SharedHotspots, {}, lambda shared: shared.record_death("1-1", 500)),
    **{
        f"DeathHotspotAggregate.{name}": Target(of(DeathHotspotAggregate, name), base)
        for name, base in {
            "record_death": {"level_id": "1-1", "x_pos": 500, "area": 1},
            "record_deaths_batch": {"level_id": "1-1", "positions": [500]},
            "get_hotspots": {"level_id": "1-1", "min_deaths": 3},
            "in_area": {"level_id": "1-1", "area": 1, "min_deaths": 3},
            "suggest_snapshot_positions": {"level_id": "1-1", "count": 3, "min_spacing": 100},
            "suggest_restore_position": {"level_id": "1-1", "death_x": 500, "min_deaths": 3},
        }.items()
    },
    "StartStateSampler": Target(
        StartStateSampler, {}, lambda s: s.choose(None, [], np.random.default_rng(0))
    ),
    "BackwardCurriculum": Target(BackwardCurriculum, {"starts": 5}, move_back),
    "BackwardStarts": Target(
        BackwardStarts, {"run": RUN}, lambda s: move_back(s.curriculum), (BackwardCurriculum,)
    ),
    "Run": Target(
        Run,
        {name: getattr(RUN, name) for name in ("level", "actions", "timing", "core", "rom_sha256")},
        lambda run: Run.from_json(run.to_json()) if run.actions else None,
    ),
    "Run.load": Target(Run.load, {"path": "run.json"}),
    "Run.from_json": Target(Run.from_json, {"data": RUN.to_json()}),
    "run_path": Target(run_path, {"folder": "runs", "level": Level(1, 1)}, str),
    "solve": Target(solve, {"level": "8-4", "seconds": 0.001}),
    "draw_level": Target(draw_level, {"level": "1-1"}),
    "save_png": Target(save_png, {"picture": np.zeros((2, 2, 3), np.uint8), "path": "map.png"}),
    "find_rom": Target(find_rom),
    "read_rom": Target(read_rom, {"path": find_rom().path}),
    "make_emulator": Target(make_emulator, {"rom": find_rom()}, lambda e: e.close()),
    "NativeEmulator": Target(NativeEmulator, {"rom": find_rom().data}, lambda e: e.step(0)),
    "Snapshot": Target(
        Snapshot, {"core": "x", "rom_sha256": "0" * 64, "data": b""}, lambda s: s.to_bytes()
    ),
}
for module, name, base in (
    # What this distribution did not have from the beginning.
    (level_text, "each_place", {"words": ["1-1"]}),
    (level_text, "each_level", {"text": "1-1"}),
    (levels, "parse_levels", {"value": "1-1"}),
    (start, "StartPoint", {"console": Snapshot("x", "0" * 64, b""), "level": None}),
    (rewards, "Warp", {"bonus": 5}),
):
    TARGETS[name] = Target(of(module, name), base)
TARGETS["StickyAction"] = Target(
    lambda **kwargs: wrapped(wrappers.StickyAction)(**kwargs),
    {"repeat_action_probability": 0.25, "repeat_action_duration": 1},
    play,
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", TARGETS)
def test_any_value_works_or_is_refused_in_a_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # values may be taken for names of files
    target = TARGETS[name]
    names = target.parameters or list(target.base)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(set(names))), hostile)
    def check(parameter: str, value: Any) -> None:
        if name == "solve" and parameter in ("seconds", "level"):
            return  # what works is played: see the tests of search
        try:
            result = target.call(**{**target.base, parameter: value})
            target.use(result)
        except MarioEnvkitError as error:
            text = str(error)
            assert text, f"{parameter} was refused without a word"
            assert "\n" not in text or (isinstance(value, str) and "\n" in value)
            assert len(text) < 700

    check()


def fresh() -> dict[str, Any]:
    """Environments to reset, by name."""
    return {
        "single": make_mario(noop_max=2, stall_limit=9),
        "snapshots": create_snapshot_mario_env(),
        "vector": MarioVectorEnv(2, num_threads=1),
        "snapshot vector": MarioSnapshotVectorEnv(2, num_threads=1),
    }


@pytest.fixture(scope="module")
def environments() -> Any:
    made = fresh()
    yield made
    for env in made.values():
        env.close()


KINDS = ("single", "snapshots", "vector", "snapshot vector")


@pytest.mark.parametrize("kind", KINDS)
def test_any_reset_works_or_is_refused_in_a_sentence(kind, environments):
    env = environments[kind]
    env.reset(seed=0)
    keys = ("level", "start", "true_start", "reset_mask", "levl")

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(("seed", "options", *keys)), hostile)
    def check(where: str, value: Any) -> None:
        try:
            env.reset(**({"options": {where: value}} if where in keys else {where: value}))
            assert where != "levl", "there is no such option"
        except MarioEnvkitError:
            pass  # and the environment is as it was
        env.step(np.zeros(2, np.int64) if "vector" in kind else 0)

    check()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"options": {"levels": "1-2"}}, r"options\['levels'\]; did you mean 'level'\?"),
        ({"options": {"true_starts": True}}, "did you mean 'true_start'"),
        ({"options": {"difficulty": 3}}, "there are level"),
        ({"options": {3: 3}}, r"options\[3\]"),
        ({"options": ["level"]}, r"options=\['level'\] is not possible; give a dict"),
        ({"options": "1-1"}, "options='1-1' is not possible"),
        ({"options": {"true_start": "yes"}}, "give True or False"),
        ({"options": {"level": np.array([1.5, 2])}}, "no level"),
        ({"seed": -1}, "seed=-1 is not possible"),
        ({"seed": 1.5}, "seed=1.5 is not possible"),
        ({"seed": True}, "seed=True is not possible"),
        ({"seed": "1"}, "seed='1' is not possible"),
    ],
    ids=str,
)
def test_a_wrong_reset_says_what_is_wrong_and_changes_nothing(kind, arguments, says, environments):
    env = environments[kind]
    env.reset(seed=3)
    with pytest.raises(MarioEnvkitError, match=says):
        env.reset(**arguments)
    env.step(np.zeros(2, np.int64) if "vector" in kind else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_and_levels_may_be_of_numpy(kind, environments):
    env = environments[kind]
    first, info = env.reset(seed=7, options={"level": "1-2"})
    again, same = env.reset(seed=np.int64(7), options={"level": np.array([1, 2])})
    assert np.array_equal(first, again)
    assert np.array_equal(info["level"], same["level"])


def test_each_seed_of_a_vector_is_checked():
    with closing(MarioVectorEnv(2, num_threads=1)) as env:
        env.reset(seed=np.array([3, 4]))
        env.reset(seed=(None, np.int64(4)))
        with pytest.raises(OptionError, match=r"seed\[1\]=1.5 is not possible"):
            env.reset(seed=[3, 1.5])
        with pytest.raises(OptionError, match="3 seeds for 2 environments"):
            env.reset(seed=np.arange(3))


def test_gymnasiums_own_wrappers_and_vectors_give_no_options_that_are_unknown():
    for mode in ("sync", "vector_entry_point"):
        vector = gymnasium.make_vec("MarioTrain-v0", 2, vectorization_mode=mode)
        with closing(gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)) as envs:
            envs.reset(seed=0)
            envs.reset(options={"reset_mask": np.array([True, False]), "level": "1-2"})
    env = gymnasium.make("MarioTrain-v0")
    env = gymnasium.wrappers.TimeLimit(gymnasium.wrappers.Autoreset(env), 9)
    with closing(gymnasium.wrappers.RecordEpisodeStatistics(env)) as env:
        env.reset(seed=0, options={})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"frame_skip": 2.5}, "frame_skip=2.5 is not possible; give a whole number"),
        ({"frame_skip": True}, "frame_skip=True is not possible"),
        ({"frame_skip": 2**70}, "frame_skip=1180591620717411303424 is not possible"),
        ({"frame_stack": 10**9}, "frame_stack=1000000000 is not possible"),
        ({"screen_size": (84,)}, r"screen_size=\(84,\) is not possible; give the side"),
        ({"screen_size": 10**9}, "screen_size=1000000000 is not possible"),
        ({"screen_size": "84"}, "screen_size='84' is not possible"),
        ({"grayscale": "no"}, "grayscale='no' is not possible; give True or False"),
        ({"grayscale": 1}, "grayscale=1 is not possible"),
        ({"stall_limit": 1.5}, "stall_limit=1.5 is not possible"),
        ({"repeat_action_probability": math.nan}, "repeat_action_probability=nan"),
        ({"repeat_action_probability": "0.1"}, "repeat_action_probability='0.1'"),
        ({"palette": np.arange(31), "grayscale": True}, "32 values"),
        ({"palette": [0.5] * 32, "grayscale": True}, r"palette\[0\]=0.5 is not possible"),
        ({"actions": b"simple"}, "actions=b'simple' is not possible"),
        ({"actions": np.array([])}, "nothing to do"),
        ({"actions": "complx"}, "actions='complx' does not exist"),
        ({"rom": ""}, "rom='' is not possible"),
        ({"rom": b"mario.nes"}, "rom=b'mario.nes' is not possible; give a path"),
        ({"level": np.array([1.5, 2])}, "no level"),
        ({"level": (1.5, 2)}, r"no level \(1.5, 2\)"),
        ({"observation": "tile"}, "did you mean 'tiles'"),
        ({"reward": "progres"}, "did you mean 'progress'"),
        ({"frameskip": 4}, "unexpected keyword argument 'frameskip'; did you mean 'frame_skip'"),
        ({"screensize": 84}, "did you mean 'screen_size'"),
        ({"picture": Picture()}, "unexpected keyword argument 'picture'"),
        ({"lvl": "1-1"}, "unexpected keyword argument 'lvl'; did you mean 'level'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [make_mario, create_snapshot_mario_env, MarioVectorEnv])
def test_wrong_arguments_are_named(make, arguments, says):
    with pytest.raises(MarioEnvkitError, match=says):
        make(**arguments)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"frame_skip": np.int64(2)}, {"frame_skip": 2}),
        ({"frame_stack": np.array(3)}, {"frame_stack": 3}),
        ({"screen_size": np.int32(42)}, {"screen_size": 42}),
        ({"screen_size": np.array([42, 50])}, {"screen_size": (42, 50)}),
        ({"grayscale": np.bool_(True)}, {"grayscale": True}),
        ({"palette": np.arange(32), "grayscale": True}, {"palette": range(32), "grayscale": True}),
        ({"actions": np.array([["right", "A"], ["left", "B"]])},
         {"actions": [["right", "A"], ["left", "B"]]}),
        ({"repeat_action_probability": np.float32(0.25)}, {"repeat_action_probability": 0.25}),
        ({"noop_max": np.uint8(9)}, {"noop_max": 9}),
        ({"stall_limit": np.int64(5)}, {"stall_limit": 5}),
        ({"level": np.str_("1-2")}, {"level": "1-2"}),
        ({"level": np.array(["1-2", "1-3"])}, {"level": ["1-2", "1-3"]}),
        ({"crop_top": np.int16(32)}, {"crop_top": 32}),
    ],
    ids=str,
)  # fmt: skip
def test_values_of_numpy_are_taken_and_stored_as_plain_ones(given, plain):
    def stored(env: Any) -> list[Any]:
        values = [env.unwrapped._ezpickle_args]
        while isinstance(env, gymnasium.Wrapper):
            values.append(getattr(env, "_saved_kwargs", None))
            env = env.env
        return values

    ours, theirs = make_mario(**given), make_mario(**plain)
    with closing(ours), closing(theirs):
        assert repr(stored(ours)) == repr(stored(theirs))
        np.testing.assert_equal(ours.reset(seed=1), theirs.reset(seed=1))
        np.testing.assert_equal(ours.step(1), theirs.step(1))
    many, alike = MarioVectorEnv(np.int64(2), **given), MarioVectorEnv(2, **plain)
    with closing(many), closing(alike):
        np.testing.assert_equal(many.reset(seed=1), alike.reset(seed=1))
        np.testing.assert_equal(many.step([1, 1]), alike.step(np.array([1, 1])))


def test_levels_of_a_vector_may_be_an_array():
    with closing(MarioVectorEnv(2, levels=np.array(["1-2", "1-3"]), num_threads=1)) as env:
        assert list(env.reset()[1]["level"]) == ["1-2", "1-3"]
    with pytest.raises(OptionError, match="levels='1-1' is not possible"):
        MarioVectorEnv(2, levels="1-1")


def test_numbers_of_numpy_in_rewards_do_not_leave_the_native_core():
    from mario_envkit.vector.reward import compile_reward

    terms = (rewards.Death(np.float64(-5)), rewards.Flag(np.int64(3)))
    assert compile_reward(RewardFunction(list(terms), scale=np.float32(0.5), clip=[-1, 1]))
    for clip in ((1, -1), (-math.inf, 1), (1,), "no", (0, math.nan)):
        with pytest.raises(OptionError, match="clip"):
            RewardFunction(terms, clip=clip)


def test_a_schedule_of_ones_own_that_chooses_no_level():
    class Mine:
        def next(self, rng: np.random.Generator) -> Any:
            return "9-9"

    with closing(MarioEnv(level=Mine())) as env, pytest.raises(MarioEnvkitError, match="'9-9'"):
        env.reset()
