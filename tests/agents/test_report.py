"""Reports: what is read from run directories, whole and damaged, and what the page says."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.report import levels
from mario_agents.report.page import build_page
from mario_agents.report.rundata import RunData
from mario_agents.report.success import level_success
from mario_agents.report.tables import combine, read_table, weighted_mean
from mario_agents.run import RunDir
from mario_agents.run.records import VideoRecord, write_video_record
from mario_agents.telemetry import CsvSink
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import RomError, RunError
from mario_envkit.maps import LevelMap
from mario_envkit.video import is_mp4
from tests.agents.run_files import AREA, DEATH, FLAG, write_run


@pytest.fixture(autouse=True)
def _made_up_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels of one color: a report is not about the game."""

    def draw(level: str, **options: Any) -> LevelMap:
        return LevelMap(level, np.full((208, 3400, 3), 120, np.uint8), AREA)

    monkeypatch.setattr(levels, "draw_level", draw)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one worker, which nobody may change: its video takes longest to write."""
    return write_run(tmp_path_factory.mktemp("written") / "run", workers=1).path


@pytest.fixture
def run(written: Path, tmp_path: Path) -> RunDir:
    """A run of one worker, to be damaged."""
    return RunDir.open(Path(shutil.copytree(written, tmp_path / "run")))


# -- tables -----------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=20))
def test_a_metrics_file_is_read_as_it_was_written(tmp_path_factory, values) -> None:
    path = tmp_path_factory.mktemp("csv") / "worker_0.csv"
    sink = CsvSink(path, ["loss"])
    for step, value in enumerate(values):
        sink.write(step, {} if value is None else {"loss": value})
    sink.close()
    table = read_table(path)
    expected = [np.nan if value is None else float(f"{value:.9g}") for value in values]
    np.testing.assert_array_equal(table.columns["loss"], expected)
    assert table.damaged == 0


@given(cut=st.integers(0, 400))
def test_a_metrics_file_cut_anywhere_gives_its_whole_rows(tmp_path_factory, cut) -> None:
    lines = ["step,time,loss\n", *(f"{step},1000.5,{step / 7:.9g}\n" for step in range(20))]
    text = "".join(lines)[:cut]
    path = tmp_path_factory.mktemp("csv") / "worker_0.csv"
    path.write_text(text)
    if not text.startswith("step,time,loss"):
        try:
            assert len(read_table(path)) == 0
        except ValueError:
            return
    table = read_table(path)
    whole = text.count("\n") - 1
    assert len(table) in (whole, whole + 1)  # a last line may be whole but for its end
    assert table.columns["step"][:whole].tolist() == list(range(max(whole, 0)))


def test_rows_measured_again_win_and_lines_that_are_none_are_counted(tmp_path) -> None:
    path = tmp_path / "worker_0.csv"
    path.write_text("step,time,loss\n10,1,0.5\n20,2,0.4\n\0\0\nx,3,4\n10,5,0.9\n30,6\n")
    table = read_table(path)
    assert table.columns["step"].tolist() == [10, 20]
    assert table.columns["loss"].tolist() == [0.9, 0.4]
    assert table.damaged == 3


def test_workers_are_combined_at_their_latest_values(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("step,speed\n10,1\n30,3\n")
    (tmp_path / "b.csv").write_text("step,speed\n20,5\n30,\n40,7\n")
    tables = [read_table(tmp_path / name) for name in ("a.csv", "b.csv")]
    mean = combine(tables, "speed")
    assert mean.steps.tolist() == [10, 20, 30, 40]
    assert mean.values.tolist() == [1, 3, 4, 5]
    assert combine(tables, "speed", total=True).values.tolist() == [1, 6, 8, 10]
    assert len(combine(tables, "weight")) == 0


def test_a_mean_is_weighted_and_leaves_out_what_is_not_known(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("step,share,span\n10,0.5,1\n20,1,3\n30,,5\n40,0.2,\n")
    (tmp_path / "b.csv").write_text("step,share,span\n10,0,4\n")
    (tmp_path / "c.csv").write_text("step,share\n10,0.9\n")
    tables = [read_table(tmp_path / f"{name}.csv") for name in "abc"]
    assert weighted_mean(tables, "share", "span") == pytest.approx((0.5 + 3.0) / 8)
    assert np.isnan(weighted_mean(tables[2:], "share", "span"))


# -- run directories --------------------------------------------------------------------------


def test_a_whole_run_lacks_only_the_standard(tmp_path) -> None:
    data = RunData.load(write_run(tmp_path / "run").path)
    assert [line.split(":")[0] for line in data.missing] == ["eval.json"]
    assert (data.trainer, data.options["level"], data.steps) == ("ppo", "1-1", 10_000)
    assert data.total("steps") == 10_000
    assert data.curve("reward").values[-1] == 100
    assert data.curve("lr").values.tolist() == [1e-4]
    assert data.snapshots[0].x == 260
    assert data.time_shares == pytest.approx([0.2, 0.1, 0.1, 0.05, 0.55])
    assert data.best_video is not None
    rows = level_success(data)
    assert [(row.source, row.wins, row.episodes) for row in rows] == [
        ("at step 10,000, plain", 2, 2),
        ("at step 10,000, sticky", 1, 2),
    ]


def test_the_standard_wins_over_evaluations_while_training(tmp_path) -> None:
    run = write_run(tmp_path / "run", video=False)
    rows = msgspec.to_builtins([FLAG, DEATH, DEATH, DEATH])
    episodes = {name: [row[name] for row in rows] for name in rows[0]}
    standard = {"levels": {"1-1": {"greedy-plain": {"episodes": episodes, "mean_x": 1}}}}
    run.standard_path.write_text(json.dumps(standard))
    data = RunData.load(run.path)
    assert data.missing == ["Videos: none was made while it trained."]
    (row,) = level_success(data)
    assert (row.source, row.wins, row.episodes) == ("eval, greedy-plain", 1, 4)
    assert row.low < 0.25 < row.high
    assert row.endings == "enemy 3, flag 1"


def test_what_is_no_run_is_refused(tmp_path) -> None:
    with pytest.raises(RunError, match="There is no run directory"):
        RunData.load(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(RunError, match="holds nothing of a run"):
        RunData.load(tmp_path)


FILES = (
    "config.json",
    "worker_0.csv",
    "coordinator.csv",
    "death_hotspots.json",
    "evaluations.jsonl",
    "videos/step-10000.json",
    "weights.safetensors",
)
NAMED = {
    "config.json": "configuration",
    "death_hotspots.json": "eaths",
    "videos/step-10000.json": "ideo",
}


@pytest.mark.parametrize("name", FILES)
def test_a_lost_file_is_named_and_the_rest_is_reported(run, name) -> None:
    (run.path / name).unlink()
    page = build_page([RunData.load(run.path)])
    section = page[page.index('id="missing"') :]
    assert NAMED.get(name, name) in section


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\0", b"{", b"[1, 2", b"null\n", b"7,8\n9\n"])
def test_damaged_files_are_named_and_the_rest_is_reported(run, damage) -> None:
    for name in FILES[:-1]:
        (run.path / name).write_bytes(damage)
    (run.path / "eval.json").write_bytes(damage)
    next(run.snapshots_path.iterdir()).write_bytes(damage)
    run.videos_path.joinpath("step-1.json").write_bytes(damage)
    data = RunData.load(run.path)
    said = " ".join(data.missing)
    for word in ("configuration", "worker_0.csv", "eaths", "eval.json", "Snapshots", "videos"):
        assert word in said, word
    assert "What is missing" in build_page([data])


def test_the_page_says_where_the_time_went_if_that_was_measured(tmp_path) -> None:
    run = write_run(tmp_path / "run", video=False)
    page = build_page([RunData.load(run.path)])
    row = page[page.index("Where the time went") :]
    assert re.findall(r"<td[^>]*>(.*?)</td>", row)[:5] == ["20%", "10%", "10%", "5%", "55%"]
    for worker in range(2):
        path = run.csv_path(f"worker_{worker}")
        path.write_text(path.read_text().replace("time_env", "old"))
    assert "Where the time went" not in build_page([RunData.load(run.path)])


def test_the_last_film_of_a_dream_is_beside_the_best_episode(tmp_path) -> None:
    run = write_run(tmp_path / "run", workers=1)
    video = run.videos_path / "step-10000.mp4"
    assert "world model" not in build_page([RunData.load(run.path)])
    for step in (5_000, 10_000):
        film = run.videos_path / f"step-{step}-dream.mp4"
        shutil.copy(video, film)
        write_video_record(film, VideoRecord(step, ("new best",), (1.0, 1.0), FLAG, (), 50))
    data = RunData.load(run.path)
    assert data.best_video is not None
    assert data.best_video[0] == video
    assert data.last_dream is not None
    assert data.last_dream[0] == film
    page = build_page([data])
    dream = page[page.index('id="dream"') : page.index('id="curves"')]
    assert dream.count("<video") == 1
    assert "looking at one of 50" in dream
    assert page.count("what was expected") == 2
    assert "after 10,000 agent steps (first flag)" in page


def test_a_video_that_was_cut_off_is_named_and_left_out(run) -> None:
    video = run.videos_path / "step-10000.mp4"
    assert is_mp4(video)
    raw = video.read_bytes()
    for kept in (0, 20, len(raw) // 2, len(raw) - 1):
        video.write_bytes(raw[:kept])
        data = RunData.load(run.path)
        assert data.videos == []
        assert "videos/step-10000.mp4 is damaged." in data.missing
        assert not any(sentence.startswith("Videos") for sentence in data.missing)
    assert "<video" not in build_page([data])


def test_a_configuration_of_nonsense_gives_a_page(run) -> None:
    options = {"level": ["a"], "seed": {"x": 1}, "game": 7, "rom": 5, "total_steps": "many"}
    config = {"trainer": "ppo", "version": 1, "config": options}
    (run.path / "config.json").write_text(json.dumps(config))
    assert "Nothing is known of any level" in build_page([RunData.load(run.path)])


def test_deaths_in_other_areas_are_not_on_the_map(run) -> None:
    deaths = DeathHotspotAggregate.load_or_create(run.hotspots_path)
    whole = build_page([RunData.load(run.path)])
    for _ in range(70):
        deaths.record_death("1-1", 1810, area=1)
    deaths.save()
    page = build_page([RunData.load(run.path)])
    assert "70 of the deaths were in other areas" in page
    assert "70 in other areas of the level are not drawn." in page
    assert "were in other areas" not in whole
    assert page.count("<rect") == whole.count("<rect")


def test_a_run_that_has_just_begun_gives_a_page(tmp_path) -> None:
    run = write_run(tmp_path / "run", video=False)
    for path in run.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "config.json":
            path.unlink()
    page = build_page([RunData.load(run.path)])
    assert "No metrics were written yet." in page
    assert "Nothing is known of any level" in page


# -- the page ---------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Elements with their attributes, and whether every one of them is closed."""

    VOID = ("meta", "link", "br", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def test_the_page_needs_nothing_else_and_can_be_read_aloud(tmp_path) -> None:
    runs = [
        RunData.load(write_run(tmp_path / "one").path),
        RunData.load(write_run(tmp_path / "<b>&two", seed=30).path),
    ]
    page = build_page(runs)
    assert "<b>&two" not in page  # names are text
    outline = Outline(page)
    ids = [attrs["id"] for _, attrs in outline.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in outline.elements:
        for name in ("src", "href", "xlink:href"):
            value = attrs.get(name, "#") or ""
            assert value.startswith(("#", "data:")), value
            if value.startswith("#"):
                assert value == "#" or value[1:] in ids
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attrs.get(name) or "").split()) <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)
    assert "<script" not in page
    assert outline.all("html")[0]["lang"] == "en"
    assert [len(outline.all(tag)) for tag in ("main", "header", "nav", "footer")] == [1] * 4
    for svg in outline.all("svg"):
        assert svg["role"] == "img"
        assert svg.get("aria-label") or svg.get("aria-labelledby")
    for header in outline.all("th"):
        assert header["scope"] in ("col", "row")
    assert all(video["aria-label"] for video in outline.all("video"))
    assert len(outline.all("video")) == 2
    assert "from 40 at step 1,000 to 130 at step 10,000" in page  # the second run's return
    assert "80 at x 300" in page  # deaths of both runs together
    assert page.count('class="differs"') == 1  # the seed
    assert len(outline.all("polyline")) == 4  # a way of each run, with its edge


def test_without_the_game_the_map_says_so(tmp_path, monkeypatch) -> None:
    def no_game(level: str, **options: Any) -> LevelMap:
        raise RomError("There is no cartridge image.")

    monkeypatch.setattr(levels, "draw_level", no_game)
    page = build_page([RunData.load(write_run(tmp_path / "run").path)])
    assert "The stage itself cannot be drawn: There is no cartridge image." in page
    assert "<image" not in page
    assert "40 at x 300" in page
    assert "<polyline" in page


def test_ways_stop_where_mario_is_taken_elsewhere() -> None:
    strokes = levels._strokes([(40, 79), (50, 79), (900, 79), (910, 95)])
    assert strokes == ["48,168 58,168", "908,168 918,152"]


# -- the command line -------------------------------------------------------------------------


def test_report_and_plot_from_the_command_line(cli: Any, tmp_path: Path) -> None:
    write_run(tmp_path / "a", video=False)
    write_run(tmp_path / "b", seed=10, video=False)
    done = cli("report", "a")
    assert done.returncode == 0, done.stderr
    assert "a: Videos: none was made" in done.stdout
    assert (tmp_path / "a" / "report.html").read_text().startswith("<!DOCTYPE html>")
    done = cli("report", "a", "b", "--out", "both.html")
    assert done.returncode == 0, done.stderr
    assert "Training report: 2 runs" in (tmp_path / "both.html").read_text()
    done = cli("plot", "a", "b", "--metric", "return,success", "--out", "curve.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    for words, said in (
        (("report", "a", "a"), "named twice"),
        (("report", "nowhere"), "There is no run directory nowhere"),
        (("report",), "at least one run"),
        (("report", "a", "--out", "no/where.html"), "cannot be saved"),
        (("plot", "a", "--metric", "retrun"), "did you mean 'return'?"),
        (("plot", "a", "--out", "curve.bmp"), "ends in .png"),
        (("plot", "a", "--metric", ","), "--metric is empty"),
    ):
        done = cli(*words)
        assert done.returncode == 2
        assert said in done.stderr, done.stderr
