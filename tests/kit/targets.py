"""What is public to call, and values that it may be called with: for tests of all arguments."""

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
from hypothesis import strategies as st

import mario_envkit.curriculum.schedule as schedules
import mario_envkit.game.rewards as rewards
import mario_envkit.wrappers as wrappers
from mario_envkit import (
    MarioEnv,
    MarioVectorEnv,
    Picture,
    RewardFunction,
    Snapshot,
    create_snapshot_mario_env,
    make_mario,
)
from mario_envkit.curriculum.along import StartsAlong
from mario_envkit.curriculum.backward import BackwardCurriculum, BackwardStarts
from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.curriculum.level_text import each_level, each_place, resolve_schedule
from mario_envkit.curriculum.runs import Run, run_path
from mario_envkit.curriculum.search import solve
from mario_envkit.curriculum.start_states import StartStateSampler
from mario_envkit.emulator.backends import make_emulator
from mario_envkit.emulator.native import NativeEmulator
from mario_envkit.emulator.rom import find_rom, read_rom
from mario_envkit.game.levels import Level, all_levels, parse_level, parse_levels
from mario_envkit.game.path_progress import PathProgress
from mario_envkit.game.reward_options import weighted
from mario_envkit.game.start import StartPoint
from mario_envkit.game.state import GameState
from mario_envkit.maps import draw_level, save_png
from mario_envkit.snapshots import (
    MarioSnapshotVectorEnv,
    SnapshotArchive,
    SnapshotMarioEnvironment,
    SnapshotOptions,
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


def registered(env_id: str, entry: Callable[..., Any], *also: Callable[..., Any]) -> Target:
    def make(**kwargs: Any) -> Any:
        spec = gymnasium.spec(env_id)
        return entry(**{**spec.kwargs, **kwargs})

    make.__signature__ = inspect.signature(entry)  # type: ignore[attr-defined]
    return Target(make, {}, play, (*also, make_mario, MarioEnv))


VECTOR = {"num_envs": 2, "num_threads": 1}
TERMS = ("Clock", "Coins", "Death", "Distance", "Flag", "PowerUp", "Progress", "Score", "Stall")
TARGETS = {
    "MarioEnv": Target(MarioEnv, {}, play),
    "make_mario": Target(make_mario, {}, play, (MarioEnv,)),
    "MarioTrain-v0": registered("MarioTrain-v0", make_mario),
    "MarioTiles-v0": registered("MarioTiles-v0", make_mario),
    "SuperMarioBros-v0": registered("mario_envkit/SuperMarioBros-v0", make_mario),
    "MarioSnapshot-v0": registered("MarioSnapshot-v0", create_snapshot_mario_env, SnapshotOptions),
    "MarioVectorEnv": Target(MarioVectorEnv, VECTOR, play_vector, (make_mario, MarioEnv)),
    "MarioSnapshotVectorEnv": Target(
        MarioSnapshotVectorEnv,
        VECTOR,
        play_vector,
        (SnapshotOptions, MarioVectorEnv, make_mario, MarioEnv),
    ),
    "SnapshotMarioEnvironment": Target(wrapped(SnapshotMarioEnvironment), {}, play),
    "ButtonActions": Target(wrapped(wrappers.ButtonActions), {}, play),
    "FrameSkip": Target(wrapped(wrappers.FrameSkip), {}, play),
    "NoopReset": Target(wrapped(wrappers.NoopReset), {}, play),
    "NumericInfo": Target(wrapped(wrappers.NumericInfo), {}, play),
    "StallLimit": Target(wrapped(wrappers.StallLimit), {"limit": 5}, play),
    "BlankObservation": Target(
        wrapped(wrappers.BlankObservation), {"blank_probability": 0.25}, play
    ),
    "StickyAction": Target(
        wrapped(wrappers.StickyAction), {"repeat_action_probability": 0.25}, play
    ),
    "Picture": Target(Picture, {}, lambda picture: play(MarioEnv(picture=picture))),
    "RewardFunction": Target(RewardFunction, {"terms": (rewards.Death(),)}, reward),
    **{
        name: Target(getattr(rewards, name), {}, lambda term: reward(RewardFunction((term,))))
        for name in TERMS
    },
    "PathProgress": Target(PathProgress, {}, lambda term: reward(RewardFunction((term,)))),
    "Warp": Target(rewards.Warp, {"bonus": 5}, lambda term: reward(RewardFunction((term,)))),
    "weighted": Target(weighted, {"reward": rewards.V7, "weights": {"death": 1}}, reward),
    "Fixed": Target(schedules.Fixed, {"level": Level(1, 1)}, draw_from),
    "Random": Target(schedules.Random, {"levels": WORLD_1}, draw_from),
    "Sequential": Target(schedules.Sequential, {"levels": WORLD_1}, draw_from),
    "OnSuccess": Target(schedules.OnSuccess, {"levels": WORLD_1}, draw_from),
    "Weighted": Target(schedules.Weighted, {"levels": WORLD_1}, draw_from),
    "Worst": Target(schedules.Worst, {"levels": WORLD_1}, draw_from),
    "resolve_schedule": Target(resolve_schedule, {"level": "1-1"}, draw_from),
    "each_place": Target(each_place, {"words": ["1-1"]}),
    "each_level": Target(each_level, {"text": "1-1"}),
    "parse_level": Target(parse_level, {"value": "1-1"}, str),
    "parse_levels": Target(parse_levels, {"value": "1-1"}, len),
    "all_levels": Target(all_levels, {}, len),
    "StartPoint": Target(StartPoint, {"console": Snapshot("x", "0" * 64, b""), "level": None}),
    "SnapshotArchive": Target(SnapshotArchive, {}, len),
    "SnapshotArchive.load": Target(SnapshotArchive.load, {"directory": "archive"}, len),
    "SnapshotOptions": Target(SnapshotOptions),
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
    "StartsAlong": Target(
        StartsAlong,
        {"runs": [RUN]},
        lambda s: s.choose(Level(1, 1), [], np.random.default_rng(0)),
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
