"""Warps and won games, as evaluations, metrics, videos and reports tell of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mario_agents.acting.episodes import EpisodeTracker, StepInfo
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.original_child import ending_with_the_last_axe
from mario_agents.evaluation.results import EvalEpisode, EvalProtocol, Evaluation
from mario_agents.evaluation.standard import Standard, StandardReport
from mario_agents.playback.camera import Trajectory
from mario_agents.playback.first_success import ActionTrace, FlagWatch, record_first_flag
from mario_agents.report.page import build_page
from mario_agents.report.rundata import RunData
from mario_agents.report.success import level_success, stage_series
from mario_agents.run.records import (
    EvaluationRecord,
    PlayedEpisode,
    evaluation_line,
    read_videos,
)
from mario_agents.runtime.evaluation import EvaluationResult
from mario_agents.telemetry.episodes import CollectResult
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.emulator import native
from mario_envkit.game import ram as m
from mario_envkit.game.levels import Level
from mario_envkit.vector import MarioVectorEnv
from tests.agents.run_files import write_run
from tests.recorded import LAST_STAGES, begin_late, last_run, warp_run

needs_core = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

RAW: dict[str, Any] = {
    "actions": "raw", "frame_skip": 1, "frame_stack": 1, "observation": "ram",
    "screen_size": None, "grayscale": False,
}  # fmt: skip


class Reciting:
    """Plays a list of actions in every game, then the last one for ever."""

    def __init__(self, actions: Any) -> None:
        self.actions = list(actions)

    def reset(self, num_envs: int) -> None:
        self.number = -1

    def act(self, observations: Any, *, greedy: bool) -> Any:
        self.number = min(self.number + 1, len(self.actions) - 1)
        return np.full(len(observations), self.actions[self.number], np.int64)


def measure(actions: Any, level: str, **kwargs: Any) -> Evaluation:
    protocol = EvalProtocol(episodes=2, noop_max=0)
    return evaluate(Reciting(actions), {**RAW, "level": level, **kwargs}, protocol)


@needs_core
def test_a_warp_is_an_ending_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    begin_late(monkeypatch, Level(1, 2), Level(1, 2), warp_run()[:-20])
    result = measure(warp_run()[-20:], "1-2")
    assert result.endings == {"warp": 2}
    assert result.success_rate.mean == 0
    (episode, _) = result.episodes
    assert (episode.level, episode.success, episode.steps) == ("1-2", False, 20)
    assert result.plain()["endings"] == {"warp": 2}


@needs_core
def test_the_flag_after_a_warp_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    # 2-1 is over at once, so that its flag (here: an axe) follows the warp.
    begin_late(monkeypatch, Level(1, 2), Level(2, 1), [0], OPERATION_MODE=m.MODE_END_OF_WORLD)
    result = measure([0], "1-2", end_on_exit=False)
    assert result.endings == {"warp": 2}
    assert result.success_rate.mean == 0


@needs_core
@pytest.mark.parametrize("game", LAST_STAGES)
def test_whole_games_won(game: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = last_run(game, "console")
    begin_late(monkeypatch, None, run.level, run.actions[:-20])
    result = measure(run.actions[-20:], "full", game=game)
    assert result.success_rate.mean == 1
    assert (result.stages_cleared.mean, result.most_stages) == (1, 1)
    text = result.text()
    assert "games won     100.0%  (2/2;" in text
    assert "stages        1.0 cleared" in text
    table = StandardReport(Standard(episodes=2), {"full": {"greedy-plain": result}}).text()
    assert "flag 2; stages 1.0 on average, at most 1" in table
    assert "full: cleared are whole games won" in table
    assert result.plain()["stages_cleared"] == {"mean": 1, "low": 1, "high": 1, "most": 1}


@needs_core
def test_a_lost_life_is_not_the_end_of_the_full_game(monkeypatch: pytest.MonkeyPatch) -> None:
    begin_late(monkeypatch, None, Level(1, 4), [0], OPERATION_MODE=m.MODE_END_OF_WORLD)
    result = measure([0x82], "full")
    (episode, _) = result.episodes
    assert (episode.success, episode.ending, episode.level) == (False, "enemy", "2-1")
    assert episode.stages_cleared == 1
    one_life = measure([0x82], "2-1").episodes[0]
    assert episode.steps > 2.5 * one_life.steps


def test_the_best_weights_of_the_full_game_cleared_the_most_stages() -> None:
    def result(stages: int, x: int) -> EvaluationResult:
        episode = EvalEpisode("2-1", False, 1.0, x, 9, "pit", stages)
        found = Evaluation(EvalProtocol(episodes=1), (episode,), full_game=True)
        return EvaluationResult(found, found)

    near, far = result(5, 100), result(4, 3500)
    assert near.score > far.score
    assert "0 of 1 games won, stages cleared 5.0 (most 5), mean x 100" in near.text()


def tracked(*steps: dict[str, Any]) -> Any:
    """The one episode of a game that said this."""
    keeping, collected = EpisodeTracker(1), CollectResult()
    for number, said in enumerate(steps):
        info = {"level": "1-2", "x_pos": 40, "flag_get": False, "ending": "", **said}
        infos = {
            key: np.array([value], object if isinstance(value, str) else None)
            for key, value in info.items()
        }
        ended = np.array([number == len(steps) - 1])
        infos = {**infos, "final_info": infos}
        keeping.step(np.ones(1), ended, ~ended & ended, StepInfo(infos, ended), collected)
    (episode,) = collected.episodes
    return episode


def test_the_books_of_episodes_know_warps() -> None:
    warped = tracked({"x_pos": 900}, {"x_pos": 905, "level": "2-1", "ending": "warp"})
    assert (warped.level, warped.best_x) == ("1-2", 905)
    assert (warped.flags, warped.success) == (0, False)
    won = tracked({}, {"flag_get": True, "ending": "flag"})
    assert (won.level, won.flags, won.success) == ("1-2", 1, True)
    foreign = tracked({}, {"level": "2-1", "flag_get": True, "ending": "warp"})
    assert (foreign.flags, foreign.success) == (0, False)
    full = tracked({"flag_get": True}, {"level": "1-3"}, {"level": "1-3", "ending": "pit"})
    assert (full.level, full.flags, full.success) == ("1-3", 1, False)


@needs_core
def test_training_watches_for_flags_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    begin_late(monkeypatch, Level(1, 2), Level(2, 1), [0], OPERATION_MODE=m.MODE_END_OF_WORLD)
    traces: list[ActionTrace] = []
    options: dict[str, Any] = {"autoreset_mode": "SameStep", "observation": "ram"}
    vector = MarioVectorEnv(1, level="1-2", end_on_exit=False, **options)
    watch = FlagWatch(vector, traces.append)
    watch.reset()
    for _ in range(3):
        *_, terminated, _, infos = watch.step([0])
        assert terminated[0]
        assert infos["final_info"]["flag_get"][0]
    assert traces == []


@needs_core
def test_a_stage_of_the_full_game_is_a_flag_to_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_late(monkeypatch, None, Level(1, 4), [0], OPERATION_MODE=m.MODE_END_OF_WORLD)
    traces: list[ActionTrace] = []
    kwargs = {**RAW, "level": "full"}
    vector = MarioVectorEnv(1, level="full", autoreset_mode="SameStep", observation="ram")
    watch = FlagWatch(vector, traces.append)
    watch.reset()
    watch.step([0])
    (trace,) = traces
    assert record_first_flag(trace, kwargs, tmp_path, step=7) is not None
    ((_, record),), _ = read_videos(tmp_path)
    assert record.episode.clears_stage
    assert not record.episode.success
    assert record.episode.outcome == "ends (stalled) after 1 cleared stages"


def test_the_way_of_a_warp_ends_in_its_stage() -> None:
    way = Trajectory()
    for level, ending in (("1-2", ""), ("2-1", "warp")):
        way.visit({"level": level, "area": 7, "x_pos": 9, "y_pos": 8, "ending": ending})
    assert [(segment.level, len(segment.points)) for segment in way.segments] == [("1-2", 2)]


def test_a_report_of_the_full_game(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    config = run.path / "config.json"
    config.write_text(config.read_text().replace('"level": "1-1"', '"level": "full"'))
    first = PlayedEpisode("2-1", False, 1.0, 900, 90, "pit", 4)
    won = PlayedEpisode("8-4", True, 9.0, 3000, 900, "flag", 32)
    records = (
        EvaluationRecord(5, (first, first), (first,)),
        EvaluationRecord(9, (first, won), (first,)),
    )
    run.evaluations_path.write_bytes(b"".join(map(evaluation_line, records)))
    data = RunData.load(run.path)
    plain, sticky = level_success(data)
    assert (plain.level, plain.wins, plain.episodes) == ("full", 1, 2)
    assert plain.endings == "pit 1, flag 1, stages cleared 18.0 on average, at most 32"
    assert sticky.endings == "pit 1, stages cleared 4.0 on average, at most 4"
    curve, _ = stage_series(data, 0, several=False)
    assert curve.curve.values.tolist() == [4, 18]
    deaths = DeathHotspotAggregate.load_or_create(run.hotspots_path)
    deaths.record_death("36-1", 400, 7)
    deaths.save(run.hotspots_path)
    page = build_page([RunData.load(run.path)])
    assert "Stages cleared in evaluations" in page
    assert "stages cleared 18.0 on average" in page


def test_older_records_and_warps_in_them() -> None:
    assert PlayedEpisode("1-1", True, 1.0, 3161, 9, "flag").clears_stage
    assert not PlayedEpisode("1-2", False, 1.0, 900, 9, "warp", 1).clears_stage
    assert PlayedEpisode("1-2", False, 1.0, 900, 9, "warp").outcome == "ends (warp)"
    far, near = (PlayedEpisode("1-1", False, 1.0, x, 9, "pit", n) for x, n in ((900, 0), (90, 1)))
    assert far.merit < near.merit


@pytest.mark.parametrize("name", ["_get_done", "_get_terminated"])
def test_the_original_game_ends_with_the_last_axe(name: str) -> None:
    ram = np.zeros(2048, np.uint8)
    package = type("Env", (), {"ram": ram, name: lambda self: False})
    env = ending_with_the_last_axe(package, 8)()
    assert not getattr(env, name)()
    ram[m.OPERATION_MODE] = m.MODE_END_OF_WORLD
    assert not getattr(env, name)()
    ram[m.WORLD] = 7
    assert getattr(env, name)()
