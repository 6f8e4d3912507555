"""The standard of ``mario-agents eval``, on the toy and in the original package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mario_agents.evaluation.conditions import CONDITIONS
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.original import OriginalGame, original_vectors
from mario_agents.evaluation.results import EvalEpisode, EvalProtocol, Evaluation
from mario_agents.evaluation.standard import Standard, StandardReport, evaluate_levels
from mario_envkit.errors import BackendUnavailable, OptionError, RunError
from tests.agents.test_evaluate import TOY, Always

pytestmark = pytest.mark.usefixtures("toy")


def test_every_condition_is_played_from_the_same_seeds() -> None:
    seen: list[tuple[str, str]] = []
    policy = Always(1)
    report = evaluate_levels(
        policy, {**TOY, "danger": 0.1}, Standard(episodes=9, seed=4), max_envs=4,
        on_episode=lambda *what: seen.append(what),
    )  # fmt: skip
    (level,) = report.levels
    assert tuple(report.levels[level]) == CONDITIONS
    assert policy.greedy == {True, False}
    assert seen == [(level, condition) for condition in CONDITIONS for _ in range(9)]
    first, *others = report.levels[level].values()
    assert first.protocol == EvalProtocol(9, True, 0.0, 30, 4)
    assert [other.protocol.sticky for other in others] == [0.25, 0.25, 0.0, 0.25, 0.25]
    assert all(other.episodes == first.episodes for other in others)  # the toy ignores them


def test_different_games_are_counted() -> None:
    plain = evaluate(Always(1), TOY, EvalProtocol(episodes=5), max_envs=2)
    assert plain.distinct == 1
    risky = evaluate(Always(1), {**TOY, "danger": 0.1}, EvalProtocol(episodes=30), max_envs=30)
    assert risky.distinct == len({episode.best_x for episode in risky.episodes})
    waves = evaluate(Always(1), {**TOY, "danger": 0.1}, EvalProtocol(episodes=30), max_envs=7)
    paths = [[episode.trajectory for episode in result.episodes] for result in (risky, waves)]
    assert paths[0] == paths[1]


def test_a_table_of_several_levels() -> None:
    def result(*wins: bool) -> Evaluation:
        games = [
            EvalEpisode("1-1", win, 1.0, 100, 9, "flag" if win else "pit", trajectory="a")
            for win in wins
        ]
        return Evaluation(EvalProtocol(episodes=len(wins)), tuple(games))

    report = StandardReport(
        Standard(episodes=2),
        {
            "1-1": {"greedy-plain": result(True, True)},
            "8-4": {"greedy-plain": result(True, False)},
        },
    )
    lines = report.text().splitlines()
    assert lines[3].split() == [
        "8-4",
        "greedy-plain",
        "1/2",
        "50.0%",
        "9.5%",
        "to",
        "90.5%",
        "100.0",
        "1",
        "flag",
        "1,",
        "pit",
        "1",
    ]
    assert lines[4].split(maxsplit=3) == [
        "mean", "greedy-plain", "75.0%", "worst tenth 50.0%, worst 50.0% (8-4)"
    ]  # fmt: skip
    assert report.plain()["levels"]["8-4"]["greedy-plain"]["endings"] == {"flag": 1, "pit": 1}


# -- the original package ----------------------------------------------------------------------


def test_an_interpreter_without_the_package(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="Cannot start"):
        OriginalGame(tmp_path / "python", "smb", "1-1", pictures=False)
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(RunError, match="has died"):
        OriginalGame(fake, "smb", "1-1", pictures=False)


class Hops:
    """Runs to the right and jumps; remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def reset(self, num_envs: int) -> None:
        self.number = 0

    def act(self, observations: Any, *, greedy: bool) -> Any:
        self.seen.append(np.array(observations))
        self.number += 1
        return np.full(len(observations), 4 if self.number % 9 < 5 else 3, np.int64)


FAKE = """
import numpy as np

class SuperMarioBrosEnv:  # with the interface of 9.x: five results, info from reset
    def __init__(self, lost_levels=False, target=None, render_mode=None):
        assert target == (1, 2) and not lost_levels
        self.ram = np.zeros(2048, np.uint8)

    def _get_info(self):
        return dict(flag_get=False, world=1, stage=2, x_pos=int(self.ram[0x86]), time=400, area=9)

    def reset(self):
        self.ram[0x86] = 40
        return np.zeros((240, 256, 3), np.uint8), {}

    def step(self, byte):
        print("noise")
        self.ram[0x86] += byte >> 7
        screen = np.full((240, 256, 3), self.ram[0x86], np.uint8)
        return screen, 1.5, self.ram[0x86] == 60, False, self._get_info()
"""


@pytest.fixture
def version_9(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "gym_super_mario_bros"
    about = tmp_path / "gym_super_mario_bros-9.1.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").touch()
    (package / "smb_env.py").write_text(FAKE)
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gym-super-mario-bros\nVersion: 9.1\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Path(sys.executable)


@pytest.mark.parametrize("observation", ["tiles", "pixels", "ram"])
def test_the_interface_of_9(version_9: Path, observation: str) -> None:
    kwargs = {"level": "1-2", "observation": observation, "frame_stack": 1}
    standard = Standard(episodes=2, noop_max=5)
    report = evaluate_levels(
        Hops(), kwargs, standard, conditions=["greedy-plain"], **original_vectors(version_9)
    )
    for episode in report.levels["1-2"]["greedy-plain"].episodes:
        # 20 frames to the right, held 4 at a time, from 40 to where it ends.
        assert (episode.best_x, episode.steps, episode.reward) == (60, 5, 30.0)
        assert not episode.success


def test_what_9_cannot_show(version_9: Path) -> None:
    with pytest.raises(BackendUnavailable, match=r"cannot be drawn for gym-super-mario-bros 9\.1"):
        original_vectors(version_9)["make"]({"level": "1-2", "palette": "contrast"}, 1)
    with pytest.raises(OptionError, match="name stages with --levels"):
        original_vectors(version_9)["make"]({"level": "random"}, 1)


PEER = Path(__file__).parents[1] / "benchmarks" / ".peers" / "gym-7.4" / "bin" / "python"
needs_peer = pytest.mark.skipif(
    not PEER.exists(), reason="python -m tests.benchmarks vector installs gym-super-mario-bros 7.4"
)


@needs_peer
@pytest.mark.parametrize(
    "kwargs",
    [
        {"observation": "tiles", "frame_stack": 2},
        {"palette": "contrast", "screen_size": (52, 64), "crop_top": 32},
        {"screen_size": 42},
    ],
    ids=["tiles", "contrast", "luma"],
)
def test_the_original_shows_and_does_the_same(kwargs: dict[str, Any]) -> None:
    standard, conditions = Standard(episodes=1, noop_max=3, seed=2), ["greedy-sticky"]
    options = {"level": "1-1", "stall_limit": 15, "reward": "v7", **kwargs}
    ours, theirs = Hops(), Hops()
    here = evaluate_levels(ours, {**options, "timing": "nes-py"}, standard, conditions=conditions)
    there = evaluate_levels(
        theirs,
        options,
        standard,
        conditions=conditions,
        **{**original_vectors(PEER), "max_envs": 1},
    )
    (expected,) = here.levels["1-1"]["greedy-sticky"].episodes
    (episode,) = there.levels["1-1"]["greedy-sticky"].episodes
    assert episode == expected
    assert episode.trajectory == expected.trajectory
    assert episode.steps > 30
    assert np.array_equal(ours.seen, theirs.seen)


def test_what_repeats_under_each_condition() -> None:
    repeats = {
        condition: tuple(
            Standard(sticky=0.3).protocol(condition).env_overrides()[f"repeat_{what}_probability"]
            for what in ("action", "frame")
        )
        for condition in CONDITIONS
    }
    assert repeats == {
        f"{choice}-{console}": chances
        for choice in ("greedy", "sampled")
        for console, chances in {
            "plain": (0.0, 0.0), "sticky": (0.3, 0.0), "frames": (0.0, 0.3)
        }.items()
    }  # fmt: skip
