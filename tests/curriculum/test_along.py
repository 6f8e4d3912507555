"""Episodes that begin anywhere along runs, and a reward for ground along them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.curriculum.along import StartsAlong
from mario_envkit.curriculum.paths import _without_loops, places_along
from mario_envkit.curriculum.runs import Run
from mario_envkit.curriculum.search import solve
from mario_envkit.emulator import native
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError, ReplayError
from mario_envkit.game import ram as m
from mario_envkit.game.levels import Level
from mario_envkit.game.path_progress import ANY_ROW, MOST_GAINED, PathProgress, place_of
from mario_envkit.game.rewards import RewardFunction
from mario_envkit.game.state import GameState, read_state
from tests.native.vectors import compare, hold_some
from tests.native.vectors import make_both as make_plain
from tests.snapshots.vectors import MODES, assert_equal_for, make_both, walk

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")


@pytest.fixture(scope="module")
def ways(way: Run) -> list[Run]:
    return [way, solve("1-1", seed=1)[0], solve("1-4", seed=0)[0]]


@pytest.fixture(scope="module")
def places(ways: list[Run]) -> tuple[tuple[int, int], ...]:
    with closing(MarioEnv(level="1-1..1-4", observation="ram")) as game:
        return places_along(ways, game)


# -- starts ----------------------------------------------------------------------------------


def test_every_part_of_a_level_is_begun_at_alike(ways: list[Run]) -> None:
    starts = StartsAlong(ways, jitter=0, spacing=100, true_starts=0.25)
    with closing(MarioEnv(level="1-1..1-4", observation="ram")) as game:
        starts.attach(game)
        starts.attach(game)  # another environment that shares it
        rng = np.random.default_rng(0)
        chosen = [starts.choose(Level(1, 1), (), rng) for _ in range(4000)]
        begun = [game.reset(options={"start": each.origin})[1] for each in chosen[:400] if each]
    assert abs(sum(each is None for each in chosen) / 4000 - 0.25) < 0.03
    points = [id(each.origin) for each in chosen if each]
    counts = np.array([points.count(point) for point in set(points)])
    assert len(counts) == sum(-(-run.frames // 100) for run in ways[:2])
    assert counts.min() > 0.5 * counts.mean()
    assert {info["stage"] for info in begun} == {1}
    assert np.ptp([info["x_pos"] for info in begun]) > 2500
    assert starts.choose(Level(1, 4), (), np.random.default_rng(1)) is not None
    assert starts.choose(Level(1, 2), (), rng) is None, "no run of that level"
    assert starts.choose(None, (), rng) is None


def test_options_that_make_no_sense(way: Run) -> None:
    with pytest.raises(OptionError, match="leaves nothing to follow"):
        StartsAlong([])
    with pytest.raises(OptionError, match="true_starts"):
        StartsAlong([way], true_starts=1.5)
    with pytest.raises(OptionError, match="spacing"):
        StartsAlong([way], spacing=0)
    with closing(MarioEnv(level="1-2")) as game, pytest.raises(OptionError, match="is of 1-1"):
        StartsAlong([way]).attach(game)


@pytest.mark.parametrize("mode", MODES)
def test_games_begin_as_single_ones_do(mode: str, way: Run) -> None:
    both = make_both(
        3, autoreset_mode=mode, start_states=StartsAlong([way], true_starts=0.3), noop_max=4,
        repeat_action_probability=0.25, stall_limit=30, level="1-1", screen_size=(40, 44),
        checkpoint_interval=80, max_restores_without_progress=0,
    )  # fmt: skip
    assert_equal_for(*both, 200, walk(3, 7, 2), seed=2)


# -- the reward ------------------------------------------------------------------------------


def test_a_run_is_paid_for_its_whole_length(
    ways: list[Run], places: tuple[tuple[int, int], ...]
) -> None:
    """About as much as the shortest run of its level is long, whatever way it takes."""
    path = PathProgress(places=places)
    for run in ways:
        stage = run.level.world * 64 + run.level.stage
        longest = max(left for key, left in places if key >> 34 == stage)
        with closing(MarioEnv(level=run.level, reward=RewardFunction((path,)))) as game:
            game.draw = False
            paid = [info["reward_parts"]["path"] for info in run.play(game)]
        assert 0.9 * longest < sum(paid) <= longest
        assert longest > 2000
        assert min(paid) == 0
        assert max(paid) <= MOST_GAINED


def test_what_a_run_does_for_nothing_is_no_part_of_the_way() -> None:
    """It comes to a place again: in a jump, or after a wrong floor of a maze."""
    ground = [STATE._replace(x_pos=16 * column + 8) for column in (0, 1, 2, 3, 4)]
    floor = [state._replace(y_pos=143) for state in ground]
    air = [state._replace(airborne=True) for state in ground]
    a, b, c, d, e = ground

    def kept(*states: GameState) -> list[GameState]:
        return [state for state, _ in groupby(_without_loops(states))]

    assert kept(a, a, b, c, c, d) == [a, b, c, d]
    assert kept(a, b, *floor[1:], b, c, d) == [a, b, c, d]
    assert kept(a, b, c, b, a, b, c, d, e) == ground
    in_air = [a, air[1], air[2], air[1], air[2], d]
    assert kept(*in_air) == in_air
    turned = [a, b, *floor[2:0:-1], d]
    assert kept(*turned) == turned, "another floor is another place"


@pytest.mark.parametrize("batched", [False, True], ids=["native", "python"])
def test_games_pay_as_single_ones_do(
    batched: bool, places: tuple[tuple[int, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if batched:
        monkeypatch.setattr("mario_envkit.vector.pool.compile_reward", lambda function: None)
    reward = RewardFunction((PathProgress(places=places, weight=0.7),), scale=0.3)
    both = make_plain(
        "MarioTrain-v0", 4, level="random:1-1,1-2,1-4", reward=reward, noop_max=20,
        observation="ram", frame_stack=1, autoreset_mode="SameStep",
    )  # fmt: skip
    assert compare(*both, 150, hold_some(4, 7, 8))["died"]


@pytest.fixture(scope="module")
def over_lifts() -> Run:
    return solve("4-3", seed=0)[0]


def test_a_lift_carries_mario_and_the_ground_does_not(over_lifts: Run) -> None:
    """On his feet he has blocks below him, or a lift; changes take a frame."""
    found = {True: 0, False: 0}
    wrong = 0
    with closing(MarioEnv(level="4-3", observation="ram")) as game:
        game.draw = False
        for _ in over_lifts.play(game):
            ram = bytes(game.emulator.ram)
            if ram[m.FLOAT_STATE] == 0:
                carried = read_state(ram).airborne
                found[carried] += 1
                wrong += carried == _has_block_below(ram)
    assert min(found.values()) > 50
    assert wrong <= 3


def _has_block_below(ram: bytes) -> bool:
    """By the game's buffer of blocks, two screens of 13 rows and 16 columns at 0x500."""
    left, below = ram[m.X_PAGE] * 256 + ram[m.X_ON_PAGE], (ram[0xCE] + 32) // 16 - 2
    columns = ((left + 3) // 16, (left + 12) // 16)  # of his feet
    return 0 <= below < 13 and any(
        ram[0x500 + column // 16 % 2 * 208 + below * 16 + column % 16] for column in columns
    )


def test_games_on_lifts_pay_as_single_ones_do(over_lifts: Run) -> None:
    with closing(MarioEnv(level="4-3", observation="ram")) as game:
        places = places_along([over_lifts], game)
    both = make_both(
        3, autoreset_mode="SameStep", start_states=StartsAlong([over_lifts]), level="4-3",
        reward=RewardFunction((PathProgress(places=places),)), screen_size=(40, 44),
        max_restores_without_progress=0,
    )  # fmt: skip
    assert_equal_for(*both, 150, walk(3, 7, 2), seed=2)


STATE = GameState(1, 1, 50, 0, 79, 400, 0, 0, 2, 0, *(False,) * 7)


def slowly(places: dict[int, int], states: Sequence[GameState]) -> list[int]:
    """What ``PathProgress`` pays for each state but the first, by its description."""
    paid: list[int] = []
    best: int | None = None
    stage, sure = None, True
    for number, state in enumerate(states):
        entered = stage != (state.world, state.stage)
        stage = state.world, state.stage
        if entered:
            sure = True
        if state.swimming:
            left = places.get(place_of(state, ANY_ROW))
        elif state.airborne:
            left = places.get(place_of(state, ANY_ROW)) if sure else None
        else:
            left = places.get(place_of(state))
        gained = 0
        if entered or best is None:
            best = left
        elif left is not None and left < best:
            gained = min(best - left, MOST_GAINED)
            best = left
        if not (state.swimming or state.airborne):
            sure = left is not None and best is not None and left <= best + MOST_GAINED
        if number:
            paid.append(gained)
    return paid


columns = st.integers(-1, 6)
moments = st.builds(
    lambda stage, area, column, row, airborne, swimming: STATE._replace(
        stage=stage, area=area, x_pos=16 * column + 3, y_pos=16 * row + 5,
        airborne=airborne, swimming=swimming,
    ),
    st.integers(1, 2), st.sampled_from([50, 51]), columns, st.integers(0, 2),
    st.booleans(), st.booleans(),
)  # fmt: skip


@given(st.data(), st.lists(moments, min_size=2, max_size=30))
def test_ground_along_a_path_pays_once(data: st.DataObject, states: list[GameState]) -> None:
    keys = [place_of(state, row) for state in states for row in (None, ANY_ROW)]
    places = data.draw(st.dictionaries(st.sampled_from(keys), st.integers(0, 400)))
    path = PathProgress(places=tuple(places.items()))
    memory, paid = path.start(states[0]), []
    for state in states[1:]:
        part, memory = path(memory, state)
        paid.append(part)
    assert paid == slowly(places, states)


def test_places_are_apart() -> None:
    """Of all stages, areas and blocks that there are."""
    states = [
        STATE._replace(world=world, stage=stage, area=area, x_pos=16 * column, y_pos=16 * row)
        for world in (1, 2, 13) for stage in (1, 4) for area in (0, 1, 65535)
        for column in (-16, -1, 0, 1, 400) for row in (0, 1, 31)
    ]  # fmt: skip
    assert len({place_of(state) for state in states}) == len(states)
    assert (
        place_of(STATE)
        == place_of(STATE._replace(x_pos=15, y_pos=64))
        != place_of(STATE._replace(x_pos=16))
    )


def test_paths_that_are_none(way: Run) -> None:
    for wrong in ([(1, 2, 3)], [(1, -2)], [(1.5, 2)], 5, [1, 2]):
        with pytest.raises(OptionError, match="places_along"):
            PathProgress(places=wrong)  # type: ignore[arg-type]
    other = replace(way, rom_sha256="0" * 64)
    with closing(MarioEnv(level="1-1")) as game, pytest.raises(ReplayError, match="another"):
        places_along([other], game)


def test_a_snapshot_goes_where_other_paths_pay(way: Run) -> None:
    """What pays along a path is not what a moment is."""
    from mario_envkit.snapshots.kind import described

    assert described(PathProgress(places=((1, 2),))) == described(PathProgress())
    assert "weight=2" in described(PathProgress(weight=2))


def test_a_weight_adds_it_to_any_reward() -> None:
    env = gymnasium.make("MarioTrain-v0", reward="v9", reward_weights={"path": 0.5})
    with closing(env):
        env.reset()
        *_, info = env.step(1)
        assert info["reward_parts"]["path"] == 0, "there are no places"
