"""The numbers of a bench, against values worked out by hand."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from mario_agents.bench.bench_results import as_csv, publish, results_of
from mario_agents.bench.figure import draw_bench
from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import BenchPlan
from mario_agents.bench.rows import differences, median_of, rows_of
from mario_agents.bench.table import as_text
from mario_agents.config import TrainConfig
from mario_agents.experiments.cell import Budget, Cell
from mario_agents.experiments.cell_result import CellResult, Success, Trained, gather, write_json
from mario_agents.experiments.display import JobsDisplay, outcome_of, seconds_left, share_done
from mario_agents.experiments.markdown import grid
from mario_agents.experiments.measures import (
    Clear,
    Point,
    area,
    budget_left,
    first_clear,
    held,
    last_third,
    points_of,
)
from mario_agents.run import RunDir
from mario_agents.run.records import EvaluationRecord, evaluation_line
from mario_agents.telemetry import CsvSink
from mario_envkit.files import append, replace_text
from mario_envkit.game.levels import all_levels
from tests.agents.run_files import DEATH, FLAG

CURVE = (
    Point(100, plain=0.0, sticky=0.0, seconds=10.0, known=14.0, time=1014.0),
    Point(200, plain=0.5, sticky=0.25, seconds=20.0, known=26.0, time=1026.0),
    Point(400, plain=1.0, sticky=0.75, seconds=40.0, known=44.0, time=1044.0),
    Point(500, plain=0.5, sticky=0.5, seconds=50.0, known=57.0, time=1057.0),
)


def test_evaluations_become_points() -> None:
    records = [
        EvaluationRecord(200, (FLAG, FLAG), (FLAG, DEATH), 2.0, 3.0, 9.0),
        EvaluationRecord(100, (FLAG, DEATH, DEATH, DEATH), (DEATH,)),
        EvaluationRecord(300, (), ()),
    ]
    assert points_of(records) == (
        Point(100, plain=0.25, sticky=0.0),
        Point(200, plain=1.0, sticky=0.5, seconds=2.0, known=3.0, time=9.0),
    )


def test_first_clear() -> None:
    assert first_clear(CURVE, spawned=1000.0) == Clear(200, 20.0, 26.0, 26.0)
    assert first_clear(CURVE, share=0.5, spawned=990.0) == Clear(200, 20.0, 26.0, 36.0)
    assert first_clear(CURVE, share=0.9) == Clear(400, 40.0, 44.0, None)
    assert first_clear(CURVE[:1]) is None
    assert first_clear(()) is None
    assert first_clear([Point(7, plain=0.1, sticky=0.0)], spawned=1.0) == Clear(7)


def test_success_is_held_until_the_next_evaluation() -> None:
    grid = np.array([0.0, 9.9, 20.0, 39.0, 40.0, 49.9, 50.0, 1000.0])
    expected = [0, 0, 0.25, 0.25, 0.75, 0.75, 0.5, 0.5]
    assert held(CURVE, grid, sticky=True, by_time=True).tolist() == expected
    assert held(CURVE, 10 * grid, sticky=True, by_time=False).tolist() == expected
    assert held(CURVE, np.array([40.0]), sticky=False, by_time=True).tolist() == [1.0]


def test_area_under_the_curve() -> None:
    # 0.25 for 20 seconds, 0.75 for 10, 0.5 for the last 10 of 60
    assert area(CURVE, 60.0, by_time=True) == pytest.approx((5 + 7.5 + 5) / 60)
    # later evaluations do not count; 5 of the 10 seconds of 0.75 are within 45
    assert area(CURVE, 45.0, by_time=True) == pytest.approx((5 + 3.75) / 45)
    assert area(CURVE, 600.0, by_time=False) == pytest.approx((50 + 75 + 50) / 600)
    assert area([Point(0, 1.0, 1.0, seconds=0.0)], 30.0, by_time=True) == 1.0
    assert area(CURVE, 15.0, by_time=True) == 0.0
    assert area((), 60.0, by_time=True) is None
    assert area([Point(0, 1.0, 1.0)], 60.0, by_time=True) is None


def test_budget_left_at_the_first_clear() -> None:
    first = first_clear(CURVE)
    assert first is not None
    assert first.seconds is not None
    assert budget_left(CURVE, 100.0, by_time=True) == pytest.approx(1 - first.seconds / 100)
    assert budget_left(CURVE, 1000.0, by_time=False) == pytest.approx(1 - first.step / 1000)
    assert budget_left(CURVE, 1.0, by_time=True) == 0.0  # it came too late
    assert budget_left([Point(9, 0.0, 0.5, seconds=1.0)], 60.0, by_time=True) == 0.0
    assert budget_left((), 60.0, by_time=True) is None
    assert budget_left([Point(0, 1.0, 1.0)], 60.0, by_time=True) is None


def test_the_area_is_that_of_the_drawn_curve() -> None:
    fine = (np.arange(60_000) + 0.5) / 1000
    drawn = held(CURVE, fine, sticky=True, by_time=True).mean()
    assert area(CURVE, 60.0, by_time=True) == pytest.approx(drawn, abs=1e-4)


def test_last_third() -> None:
    assert last_third(CURVE, 57.0, by_time=True) == (0.75, 0.5)  # after 38 seconds
    assert last_third(CURVE, 600.0, by_time=False) == (0.5, 0.5)  # after 400 steps, not at them
    assert last_third(CURVE, 900.0, by_time=False) is None
    assert last_third([Point(9, 1.0, 1.0)], 9.0, by_time=True) is None


def test_a_median_with_what_never_happened() -> None:
    assert median_of([1.0, None, 3.0]) == 3.0
    assert median_of([1.0, None, None]) is None
    assert median_of([2.0, 1.0]) == 1.5
    assert median_of([]) is None


def test_time_left() -> None:
    plan = Budget(minutes=2.0)
    assert share_done(plan, total_steps=1000, steps=100, seconds=60.0) == 0.5
    assert share_done(plan, total_steps=1000, steps=900, seconds=60.0) == 0.9
    assert share_done(plan, total_steps=1000, steps=None, seconds=None) == 0.0
    assert share_done(plan, total_steps=1000, steps=9999, seconds=None) == 1.0
    assert seconds_left(3, [0.5, 0.25], 2, 100.0) == (300 + 125) / 2
    assert seconds_left(3, [], 1, None) is None


# -- tables ------------------------------------------------------------------------------------


def cell(seed: int, snapshots: bool, *, level: str = "1-1") -> Cell:
    name = f"toy-{level}-{snapshots}-{seed}"
    return Cell(name, "toy/quick", "toy", level, seed, snapshots, {"total_steps": 600})


def result(of: Cell, sticky: float, final: int, *, clear: bool = True) -> CellResult:
    points = (Point(300, plain=float(clear), sticky=sticky, seconds=30.0, known=31.0, time=131.0),)
    standard = {"best": {"greedy-plain": Success(9, 10), "greedy-sticky": Success(final, 10)}}
    return CellResult(
        name=of.name, status="finished", spawned=100.0, wall_seconds=70.0, steps=600, seconds=60.0,
        points=points, standard=standard,
    )  # fmt: skip


@pytest.fixture
def bench() -> tuple[BenchPlan, dict[str, CellResult]]:
    """Two seeds with snapshots and without, and one that failed."""
    on, off = [cell(s, True) for s in (0, 1)], [cell(s, False) for s in (0, 1)]
    broken = cell(2, True)
    plan = BenchPlan((*on, *off, broken), minutes=1.0, machine="a toy machine", weights=("best",))
    results = {
        on[0].name: result(on[0], 0.8, 9),
        on[1].name: result(on[1], 0.2, 6, clear=False),
        off[0].name: result(off[0], 0.4, 6),
        off[1].name: result(off[1], 0.4, 6),
        broken.name: CellResult(name=broken.name, status="failed", error="mario-agents: no luck."),
    }
    return plan, results


def test_rows_and_pairs(bench: tuple[BenchPlan, dict[str, CellResult]]) -> None:
    rows = rows_of(*bench)
    assert [(row.snapshots, len(row.seeds), len(row.finished)) for row in rows] == [
        (True, 3, 2),
        (False, 2, 2),
    ]
    first = rows[0].seeds[0]
    assert first.first == Clear(300, 30.0, 31.0, 31.0)
    assert (first.area, first.steps_per_second, first.late_mean) == (pytest.approx(0.4), 10, None)
    left, curve, final = differences(rows)
    assert left.quantity == "budget left at first clear"
    assert left.by_seed == {0: 0.0, 1: pytest.approx(-0.5)}
    assert curve.by_seed == {0: pytest.approx(0.2), 1: pytest.approx(-0.1)}
    assert (curve.mean, curve.better, curve.worse) == (pytest.approx(0.05), 1, 1)
    assert curve.low == pytest.approx(-0.1)
    assert curve.high == pytest.approx(0.2)
    assert final.quantity == "greedy-sticky, best"
    assert final.by_seed == {0: pytest.approx(0.3), 1: 0.0}
    assert (final.better, final.worse) == (1, 0)


def test_the_text(bench: tuple[BenchPlan, dict[str, CellResult]]) -> None:
    rows = rows_of(*bench)
    text = as_text(bench[0], rows, differences(rows))
    lines = [[word.strip() for word in line.split("|")[1:-1]] for line in text.splitlines()]
    on = next(line for line in lines if line[:3] == ["toy/quick", "1-1", "on"])
    assert on[3:9] == ["never (300, never)", "never (31.0, never)", "never (31.0, never)"] * 2
    assert on[9:12] == ["0.25 (0.40, 0.10)", "600 (600, 600)", "10 (10, 10)"]
    assert on[12:] == ["-", "-"]
    end = next(line for line in lines if line[:4] == ["toy/quick", "1-1", "on", "best"])
    assert end[4:] == ["90% (90%, 90%)", "75% (90%, 60%)", *["-"] * 4]
    assert "- toy/quick 1-1 on seed 2: failed: mario-agents: no luck." in text
    assert "a toy machine" in text
    assert "Snapshots on against off" in text
    assert grid(["a", "bb"], [["x|y", "1"]]) == "| a    | bb |\n|------|----|\n| x\\|y | 1  |"


def test_who_keeps_no_evaluations_has_not_failed_to_clear() -> None:
    one = cell(0, True)
    bare = CellResult(name=one.name, status="finished", steps=600)
    rows = rows_of(BenchPlan((one,), steps=600), {one.name: bare})
    text = as_text(BenchPlan((one,), steps=600), rows, [])
    assert "never" not in text.split("How it was measured")[0]


def test_a_line_of_csv_for_each_run(bench: tuple[BenchPlan, dict[str, CellResult]]) -> None:
    lines = list(csv.DictReader(StringIO(as_csv(rows_of(*bench)))))
    assert len(lines) == 5
    assert lines[0]["first.step"] == "300"
    assert lines[0]["standard.best.greedy-sticky"] == "0.9"
    assert (lines[1]["snapshots"], lines[1]["first.step"]) == ("on", "")


# -- files -------------------------------------------------------------------------------------


def test_what_run_directories_say(tmp_path: Path) -> None:
    layout = BenchLayout(tmp_path)
    whole, missing = cell(0, True), cell(1, True)
    files = layout.cell(whole.name)
    files.home.mkdir(parents=True)
    run = RunDir.create(files.run, trainer="toy", config=TrainConfig(total_steps=600))
    for name, columns in (("worker_0", ["loss"]), ("coordinator", ["seconds"])):
        sink = CsvSink(run.csv_path(name), columns)
        sink.write(320, {"loss": 1.0, "seconds": 32.0})
        sink.write(640, {"loss": 1.0, "seconds": 65.5})
        sink.close()
    record = EvaluationRecord(320, (FLAG,), (DEATH, FLAG), 32.0, 33.0, 1033.0)
    append(run.evaluations_path, evaluation_line(record))
    write_json(files.trained, Trained(1000.0, 70.0))
    one = dict(level="1-1", reward=1.0, best_x=9, steps=3, ending="x", stages_cleared=0)
    episodes = {name: [value] * 4 for name, value in one.items()}
    episodes["success"] = [True, False, False, True]
    document = {"levels": {level: {"greedy-plain": {"episodes": episodes}} for level in "ab"}}
    replace_text(files.standard("best"), json.dumps(document))
    found = gather(whole, files, status="finished")
    assert (found.steps, found.seconds, found.spawned) == (640, 65.5, 1000.0)
    assert found.points == (Point(320, 1.0, 0.5, 32.0, 33.0, 1033.0),)
    assert found.standard == {"best": {"greedy-plain": Success(4, 8)}}
    write_json(files.result, found)

    plan = BenchPlan((whole, missing), minutes=1.0, weights=("best",))
    results = results_of(plan, layout)
    assert results.cells[whole.name] == found
    assert results.cells[missing.name].status == "unfinished"
    text = publish(plan, layout, results)
    assert "seed 1: unfinished" in text
    assert (tmp_path / "table.md").read_text() == text
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "curves.svg").read_text()
    assert svg.startswith("<?xml")
    nothing = dict.fromkeys(results.cells, results.cells[missing.name])
    assert draw_bench(plan, nothing, tmp_path) == []


@pytest.mark.slow
def test_many_levels_stand_side_by_side(tmp_path: Path) -> None:
    cells = tuple(cell(0, True, level=str(level)) for level in all_levels()[:11])
    results = {each.name: result(each, 0.5, 5) for each in cells}
    draw_bench(BenchPlan(cells, minutes=1.0, weights=("best",)), results, tmp_path)
    height, width = imread(tmp_path / "curves.png").shape[:2]
    assert 0.9 < height / width < 1.0  # six rows of two levels
    svg = (tmp_path / "curves.svg").read_text()
    assert svg.count("stroke-width: 1.6") >= 2 * len(cells)


def test_a_terminal_shows_bars(tmp_path: Path) -> None:
    one = cell(0, True)
    files = BenchLayout(tmp_path).cell(one.name)
    files.run.mkdir(parents=True)
    sink = CsvSink(files.run_files.csv_path("coordinator"), ["seconds"])
    sink.write(150, {"seconds": 15.0})
    sink.close()
    record = EvaluationRecord(100, (FLAG, DEATH), (DEATH, DEATH), 10.0, 11.0, 12.0)
    append(files.run_files.evaluations_path, evaluation_line(record))
    job: Any = SimpleNamespace(
        cell=one, files=files, node="", doing="training", training_seconds=30.0
    )
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=160)
    with JobsDisplay(2, 0, budget=Budget(1.0), jobs=1, console=console) as display:
        display.began(job)
        display.look({0: job}, waiting=1)
        display._bars.refresh()
        display.ended(job, outcome_of(result(one, 0.8, 9)), 90.0)
    shown = out.getvalue()
    # Half of one minute, and another whole one.
    assert "cells, about 2 min left" in shown
    assert "50/100" in shown
    assert "toy-1-1-True-0  training  150 steps  cleared 50%, sticky 0%" in shown
    assert "greedy-sticky 90% (1/2; about 2 min left)" in shown
