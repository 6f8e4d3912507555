"""The backward algorithm along several runs."""

from __future__ import annotations

import json
from contextlib import closing

import numpy as np
import pytest

from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.backward_runs import BackwardRuns
from mario_envkit.curriculum.runs import Run, run_files, run_path
from mario_envkit.curriculum.search import solve
from mario_envkit.env import MarioEnv
from mario_envkit.errors import ConfigError, OptionError, ReplayError
from mario_envkit.game.levels import Level


@pytest.fixture(scope="module")
def ways(way: Run) -> list[Run]:
    return [way, solve("1-1", seed=1)[0], solve("1-4", seed=0)[0]]


@pytest.fixture
def starts(ways: list[Run]) -> BackwardRuns:
    """Attached to a game that plays both levels."""
    found = BackwardRuns(ways, window=2, threshold=0.5, jitter=0)
    with closing(MarioEnv(level="1-1..1-4", observation="ram")) as game:
        found.attach(game)
    return found


def test_episodes_are_spread_over_the_runs_of_their_level(starts: BackwardRuns) -> None:
    rng = np.random.default_rng(0)
    chosen = [starts.choose(Level(1, 1), (), rng) for _ in range(200)]
    counts = [
        sum(any(start.origin is point for point in way._points) for start in chosen if start)
        for way in starts.ways
    ]
    assert sum(counts) == 200
    assert counts[2] == 0
    assert min(counts[:2]) > 70
    other = starts.choose(Level(1, 4), (), rng)
    assert other is not None
    assert any(other.origin is point for point in starts.ways[2]._points)
    assert starts.choose(Level(1, 2), (), rng) is None
    assert starts.choose(None, (), rng) is None


def test_each_run_has_a_position_of_its_own(starts: BackwardRuns) -> None:
    rng = np.random.default_rng(0)
    first = [way.curriculum.position for way in starts.ways]
    while starts.ways[1].curriculum.position > first[1] - 5:
        start = starts.choose(Level(1, 1), (), rng)
        assert start is not None
        second = any(start.origin is point for point in starts.ways[1]._points)
        starts.record(start, success=second)
    moved = [way.curriculum.position for way in starts.ways]
    assert moved == [first[0], first[1] - 5, first[2]]
    assert 0 < starts.progress < 1
    assert not starts.done
    state = json.loads(json.dumps(starts.state()))
    again = BackwardRuns([way.run for way in starts.ways], window=2, threshold=0.5)
    again.restore(state)
    assert again.state() == starts.state()
    assert [way.curriculum.position for way in again.ways] == moved
    again.ways[0].curriculum.record(moved[0], True)
    again.forget()
    assert again.state() == state


def test_along_a_run_that_is_done_episodes_begin_truly(starts: BackwardRuns) -> None:
    state = starts.state()
    state["runs"][0] |= {"position": 0, "outcomes": []}
    starts.restore(state)
    rng = np.random.default_rng(0)
    true = sum(starts.choose(Level(1, 1), (), rng) is None for _ in range(200))
    assert 70 < true < 130
    assert not starts.done
    state["runs"] = [{**each, "position": 0, "outcomes": []} for each in state["runs"]]
    starts.restore(state)
    assert starts.done
    assert starts.progress == 1


def test_one_run_is_as_it_was_without_others(way: Run) -> None:
    """The same random numbers, the same starts."""
    alone, several = BackwardStarts(way), BackwardRuns([way])
    with closing(MarioEnv(level="1-1", observation="ram")) as game:
        alone.attach(game)
        several.attach(game)
    ours, theirs = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(50):
        one, other = (
            alone.choose(Level(1, 1), (), ours),
            several.choose(Level(1, 1), (), theirs),
        )
        assert one is not None
        assert other is not None
        assert (one.origin.frame, one.jitter) == (other.origin.frame, other.jitter)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_of_episodes_begins_truly_all_the_same(ways: list[Run], share: float) -> None:
    """The others are along the runs as without, and move them back."""
    starts, plain = BackwardRuns(ways, true_starts=share), BackwardRuns(ways)
    with closing(MarioEnv(level="1-1..1-4", observation="ram")) as game:
        starts.attach(game)
        plain.attach(game)
    rng = np.random.default_rng(5)
    chosen = [starts.choose(Level(1, 1), (), rng) for _ in range(400)]
    true = sum(each is None for each in chosen)
    assert abs(true - 400 * share) <= (40 if share == 0.25 else 0)
    usual = {each.origin.frame for each in (plain.choose(Level(1, 1), (), rng) for _ in chosen)}
    assert {each.origin.frame for each in chosen if each} <= usual
    if share == 0:
        ours, theirs = np.random.default_rng(5), np.random.default_rng(5)
        for _ in range(20):
            one, other = (
                each.choose(Level(1, 1), (), g) for each, g in ((starts, ours), (plain, theirs))
            )
            assert (one.origin.frame, one.jitter) == (other.origin.frame, other.jitter)
    assert not starts.done
    with pytest.raises(OptionError, match="true_starts"):
        BackwardRuns(ways, true_starts=1.5)


@pytest.mark.parametrize("change", ["fewer", "other", "nothing"])
def test_a_state_of_other_runs_is_refused_and_nothing_changes(
    starts: BackwardRuns, change: str
) -> None:
    before = starts.state()
    wrong = {
        "fewer": {"runs": before["runs"][:2]},
        "other": {"runs": [{**before["runs"][0], "position": 1}, *before["runs"][:0:-1]]},
        "nothing": {},
    }[change]
    with pytest.raises(ConfigError, match="same runs in the same order"):
        starts.restore(wrong)
    assert starts.state() == before


def test_what_are_no_runs_is_refused() -> None:
    with pytest.raises(OptionError, match="give at least one run"):
        BackwardRuns([])
    with pytest.raises(OptionError, match="a list of runs"):
        BackwardRuns(5)  # type: ignore[arg-type]


def test_a_folder_has_all_runs_of_the_levels_by_number(tmp_path, ways: list[Run]) -> None:
    for number in (1, 2, 10):
        ways[0].save(run_path(tmp_path, Level(1, 1), number=number))
    ways[2].save(run_path(tmp_path, Level(1, 4)))
    ways[2].save(tmp_path / "smb-1-1-console-x.json")
    ways[2].save(tmp_path / "smb-1-1-nes-py.json")
    levels = [Level(1, 1), Level(1, 2), Level(1, 4)]
    assert [path.name for path in run_files(tmp_path, levels)] == [
        "smb-1-1-console.json",
        "smb-1-1-console-2.json",
        "smb-1-1-console-10.json",
        "smb-1-4-console.json",
    ]
    with pytest.raises(ReplayError, match=r"such as smb-1-2-console\.json; make one with"):
        run_files(tmp_path, [Level(1, 2)])
