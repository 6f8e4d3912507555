"""How often each level is completed in training: counted, kept, shown."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.algos.ppo.trainer import TRAINER
from mario_agents.monitor import draw
from mario_agents.monitor.files import stored_state
from mario_agents.monitor.state import MAX_LEVELS, Dashboard, reduce
from mario_agents.report.page import build_page
from mario_agents.report.rundata import RunData
from mario_agents.run import RunDir
from mario_agents.run.level_rates import RECENT, LevelRate, read_level_rates, write_level_rates
from mario_agents.telemetry.collectors import MarioCollector
from mario_agents.telemetry.episodes import Episode
from mario_agents.telemetry.events import LevelOutcomes
from mario_agents.telemetry.level_log import LevelLog
from mario_agents.telemetry.logger import MetricLogger
from mario_envkit.errors import RunError
from tests.agents import trained_run
from tests.agents.dashboards import envelope

BATCHES = st.lists(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))


@given(BATCHES)
def test_a_fading_mean_by_a_loop(batches: list[tuple[int, int]]) -> None:
    rate, weight, won = LevelRate(), 0.0, 0.0
    for episodes, successes in batches:
        rate = rate.plus(episodes, successes)
        for _ in range(episodes):
            weight = weight * (1 - 1 / RECENT) + 1
            won = won * (1 - 1 / RECENT) + successes / episodes
    assert rate.episodes == sum(episodes for episodes, _ in batches)
    assert rate.successes == sum(successes for _, successes in batches)
    assert rate.recent == pytest.approx(won / weight if weight else 0.0)
    assert 0 <= rate.recent <= 1 + 1e-12


def test_the_file_is_written_when_it_is_time_and_read_again(tmp_path: Path) -> None:
    path, now = tmp_path / "levels.json", [0.0]
    log = LevelLog(path, interval=10, clock=lambda: now[0])
    log.tick()
    log.close()
    assert not path.exists(), "there is nothing to keep"
    log.record("1-1", 4, 3)
    log.tick()
    assert not path.exists()
    now[0] = 10.0
    log.tick()
    assert read_level_rates(path) == log.rates
    assert log.recent() == {}, "of one level there is no more to say than the metric success"
    log.record("1-2", 2, 0)
    log.close()
    again = LevelLog(path)
    assert again.rates == log.rates
    again.record("1-1", 1, 1)
    assert again.rates["1-1"].episodes == 5
    assert again.recent() == {"1-1": again.rates["1-1"].recent, "1-2": 0.0}
    path.write_text('{"1-1": {"episodes": -1}}')
    with pytest.raises(RunError, match="is damaged"):
        LevelLog(path)


def test_outcomes_are_passed_on_once_even_if_nobody_takes_them_at_first() -> None:
    taken: list[tuple[str, int, int]] = []
    refusing = [True]

    def take(*outcomes: object) -> bool:
        if not refusing[0]:
            taken.append(outcomes)  # type: ignore[arg-type]
        return not refusing[0]

    collector = MarioCollector(MetricLogger(MarioCollector.METRICS), outcomes=take)
    for level, success, shown in (
        ("1-1", True, True), ("1-1", False, True), ("1-2", True, True), ("1-1", True, False),
        ("", True, True),
    ):  # fmt: skip
        collector.on_episode_end(Episode(0, level, 1.0, 9, 8, 8, 1, success, False, shown))
    collector.flush()
    refusing[0] = False
    collector.flush()
    collector.flush()
    assert sorted(taken) == [("1-1", 2, 1), ("1-2", 1, 1)]


def test_a_run_on_several_levels_keeps_and_shows_them(tmp_path: Path) -> None:
    config = PPOConfig(
        level="1-1..1-4", num_envs=8, rollout_steps=64, minibatch_size=256, total_steps=6000,
        hidden=16, ui=False, eval_interval=0, snapshots=False, stall_limit=20,
    )  # fmt: skip
    path = trained_run.train(TRAINER, config, tmp_path / "run", name="ppo")
    rates = read_level_rates(RunDir.open(path).levels_path)
    assert set(rates) == {"1-1", "1-2", "1-3", "1-4"}
    episodes = sum(int(float(row["episodes"] or 0)) for row in trained_run.rows(path)[-1:])
    assert sum(rate.episodes for rate in rates.values()) == episodes > 8
    state = stored_state(RunDir.open(path))
    assert dict(state.rates) == rates
    assert "levels 4  success lately" in draw.levels(state).plain
    page = build_page([RunData.load(path)])
    assert "Success lately, mean over 4 levels" in page


def test_a_damaged_file_is_told_of(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=PPOConfig())
    run.levels_path.write_text("[]")
    state = stored_state(run)
    assert state.rates == {}
    assert any("levels.json is damaged" in line.text for line in state.logs)
    assert any("levels.json is damaged" in text for text in RunData.load(run.path).missing)


def test_a_dashboard_adds_up_what_it_hears() -> None:
    state, counted = Dashboard(), defaultdict(int)
    for second, (level, episodes, successes) in enumerate(
        [("1-1", 3, 1), ("8-4", 5, 0), ("1-1", 2, 2), ("1-1", 0, 0), ("1-1", 1, 5)]
    ):
        event = LevelOutcomes(level=level, episodes=episodes, successes=successes)
        state = reduce(state, envelope(event, "worker_0", second))
        counted[level] += episodes if 0 <= successes <= episodes else 0
    assert {level: rate.episodes for level, rate in state.rates.items()} == counted
    drawn = draw.levels(state).plain
    assert "worst 8-4 0%" in drawn
    assert draw.levels(Dashboard()).plain == ""
    for number in range(2 * MAX_LEVELS):
        event = LevelOutcomes(level=f"{number}\x1b[2J", episodes=1, successes=1)
        state = reduce(state, envelope(event, "worker_0", number))
    assert len(state.rates) == MAX_LEVELS
    assert "\x1b" not in draw.levels(state).plain


def test_the_order_of_levels_is_kept_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "levels.json"
    write_level_rates(path, {"2-1": LevelRate().plus(1, 1), "1-1": LevelRate().plus(2, 0)})
    assert list(read_level_rates(path)) == ["1-1", "2-1"]
    assert path.read_text().count("\n") > 5, "people may read it"
