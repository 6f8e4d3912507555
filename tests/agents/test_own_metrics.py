"""A metric that only its algorithm knows is in rows, TensorBoard, dashboard and report."""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from mario_agents.core.algorithm import Spaces
from mario_agents.core.types import Batch
from mario_agents.monitor.app import PANEL_HEIGHT, DashboardApp
from mario_agents.monitor.files import stored_state
from mario_agents.monitor.plain import summary
from mario_agents.monitor.report import ReportJob
from mario_agents.report.page import build_page
from mario_agents.report.rundata import RunData
from mario_agents.run import RunDir
from mario_agents.runtime.run import train
from mario_agents.telemetry import RunMetrics
from mario_agents.telemetry.run_metrics import METRICS_NAME
from mario_agents.telemetry.schema import gauge, rolling
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig, ToyLearner, ToyModel
from mario_envkit.errors import TrainerError
from tests.agents.dashboards import START, FakeFeed, screen_text


class DoubtingLearner(ToyLearner):
    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        loss, measured = super().compute_loss(batch)
        return loss, {**measured, "doubt_level": loss.detach() + 1, "faith": -loss.detach()}


class DoubtingAlgorithm(ToyAlgorithm):
    """The toy, with metrics that nobody else has."""

    metrics = (
        rolling("doubt_level", "doubts for each step", label="doubt", panel="Inner life",
                headline=True),
        rolling("faith", "the opposite", panel="Inner life", headline=True),
    )  # fmt: skip

    def learner(self, config: ToyConfig, spaces: Spaces) -> ToyLearner:
        return DoubtingLearner(ToyModel(spaces.actions))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    config = ToyConfig(total_steps=512, num_envs=2, log_interval=128, eval_interval=0, ui=False)
    path = tmp_path_factory.mktemp("own") / "run"
    run = RunDir.create(path, trainer="doubting", config=config)
    train(DoubtingAlgorithm(), config, run, resume=False)
    return run


def test_rows_and_tensorboard_have_it_with_its_label(run: RunDir) -> None:
    with run.csv_path("worker_0").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["doubt_level"]) > 1
    events = EventAccumulator(str(run.tensorboard_path))
    events.Reload()
    assert {"worker_0/doubt_level", "run/doubt_level"} <= set(events.Tags()["scalars"])
    told = events.SummaryMetadata("run/doubt_level")
    assert (told.display_name, told.summary_description) == ("doubt", "doubts for each step")


@pytest.mark.slow
def test_the_report_draws_its_panel(run: RunDir) -> None:
    data = RunData.load(run.path)
    assert [m.name for m in data.metrics.panels(data.measured)["Inner life"]] == [
        *("doubt_level", "faith"),
    ]
    page = build_page([data])
    assert "Inner life</title>" in page
    assert "doubt, faith over agent steps. doubt: from" in page
    several = build_page([data, RunData.load(run.path, "again")])
    assert "run, doubt: from" in several
    assert "again, faith: from" in several


def test_the_dashboard_draws_its_panel_curve_and_column(run: RunDir, tmp_path: Path) -> None:
    state = stored_state(run)
    text = summary(state, living=False, now=START)
    assert re.match(r"doubt \d.*  faith -\d", text.splitlines()[2])
    assert " fait " in text

    async def main(height: int) -> str:
        app = DashboardApp(FakeFeed(), state, ReportJob(tmp_path), now=lambda: START)
        async with app.run_test(size=(100, height)) as pilot:
            await pilot.pause()
            return screen_text(app.export_screenshot())

    small, large = (asyncio.run(main(height)) for height in (24, PANEL_HEIGHT + 4))
    assert "Inner life" not in small
    assert "Inner life" in large
    for screen in (small, large):
        assert any(re.match(r"doubt +\d", line) for line in screen.splitlines())  # its curve


@pytest.mark.slow
def test_without_or_with_a_damaged_file_of_definitions_columns_are_shown_by_name(
    run: RunDir, tmp_path: Path
) -> None:
    path = run.path / METRICS_NAME
    whole = path.read_bytes()
    try:
        for damage in (b"{", b'{"algorithm": [{"name": "x"}]}', None):
            path.unlink() if damage is None else path.write_bytes(damage)
            data, state = RunData.load(run.path), stored_state(run)
            assert (damage is None) == (METRICS_NAME not in " ".join(data.missing))
            assert (damage is None) == (METRICS_NAME not in " ".join(x.text for x in state.logs))
            assert "Doubt level</title>" in build_page([data])
            assert "doubt level " in summary(state, living=False, now=START)
    finally:
        path.write_bytes(whole)
    assert msgspec.json.decode(whole, type=RunMetrics).algorithm == DoubtingAlgorithm.metrics


@pytest.mark.parametrize("name", ["reward", "step", "doubt"])
def test_names_that_are_taken_are_refused(name: str) -> None:
    with pytest.raises(TrainerError, match=f"Defined twice: {name}. An algorithm's"):
        RunMetrics.of((gauge("doubt", "of anything"), gauge(name, "the same")))
