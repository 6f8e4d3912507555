"""Leaderboards: what stands in one table, in which order, and that results are text in it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mario_agents.evaluation.intervals import wilson_interval
from mario_agents.evaluation.result_file import (
    SCHEMA,
    AgentRecord,
    ConditionRecord,
    GameRecord,
    MadeRecord,
    Result,
    TrainingRecord,
)
from mario_agents.evaluation.results import EvalEpisode, EvalProtocol, Evaluation
from mario_agents.evaluation.standard_options import Standard
from mario_agents.leaderboard.entries import OVERALL, Table, tables_of
from mario_agents.leaderboard.tables import as_csv, as_html, as_markdown
from mario_envkit.errors import ResultError
from tests.agents.command_runs import assert_refused

ROM, OTHER_ROM = "a" * 64, "b" * 64


def played(wins: int, episodes: int = 10) -> ConditionRecord:
    """So many episodes that reached the flag, and the others fell into a pit."""
    won = EvalEpisode("1-1", True, 1.0, 3000, 100, "flag", 1)
    lost = EvalEpisode("1-1", False, 0.0, 300, 10, "pit")
    rows = (won,) * wins + (lost,) * (episodes - wins)
    evaluation = Evaluation(EvalProtocol(episodes=episodes), rows)
    return msgspec.convert(evaluation.plain(), ConditionRecord)


def result(
    name: str,
    levels: dict[str, dict[str, int]],
    *,
    track: str = "",
    rom: str = ROM,
    sticky: float = 0.25,
    on: str = "mario-envkit",
    episodes: int = 10,
    minutes: float | None = None,
    declared: bool = False,
) -> Result:
    """A result with so many wins by level and condition."""
    return Result(
        schema=SCHEMA,
        agent=AgentRecord(name=name, kind="python", files={"agent.py": "c" * 64}),
        on=on,
        track=track,
        training=TrainingRecord(minutes=minutes, agent_steps=7, declared=declared),
        game=GameRecord(
            name="smb", rom_sha256=rom, core="native/console", native_sha256="",
            code_sha256="d" * 64,
        ),
        made=MadeRecord(
            at="2026-01-01T00:00:00+00:00", seconds=1.0, machine="m",
            versions={"mario-envkit": "0.1.0"},
        ),
        env={},
        standard=Standard(episodes=episodes, sticky=sticky),
        records={
            level: {condition: played(wins, episodes) for condition, wins in row.items()}
            for level, row in levels.items()
        },
    )  # fmt: skip


def tables(*results: Result, by: str = OVERALL) -> list[Table]:
    return tables_of([(Path(f"{i}.json"), each) for i, each in enumerate(results)], by)


def names(table: Table) -> list[str]:
    return [entry.first.agent.name for entry in table.entries]


def test_the_best_comes_first() -> None:
    plain, sticky = "greedy-plain", "greedy-sticky"
    results = [
        result("heart", {"1-1": {plain: 10, sticky: 2}}, track="1-1"),
        result("robust", {"1-1": {plain: 9, sticky: 8}}, track="1-1"),
        result("bad", {"1-1": {plain: 1, sticky: 1}}, track="1-1"),
    ]
    (table,) = tables(*results)
    assert names(table) == ["robust", "heart", "bad"]
    assert table.entries[0].spread().mean == pytest.approx(0.85)
    (table,) = tables(*results, by=plain)
    assert names(table) == ["heart", "robust", "bad"]
    with pytest.raises(ResultError, match="None of the results was played under 'sampled-frames'"):
        tables(*results, by="sampled-frames")


def test_who_clears_nothing_may_get_farther() -> None:
    near = result("a", {"1-1": {"greedy-plain": 0}})
    document = msgspec.to_builtins(result("b", {"1-1": {"greedy-plain": 0}}))
    episodes = document["levels"]["1-1"]["greedy-plain"]["episodes"]
    episodes["best_x"] = [500] * len(episodes["best_x"])
    far = msgspec.convert(document, Result)
    (table,) = tables(near, far)
    assert names(table) == ["b", "a"]
    assert [entry.mean_x() for entry in table.entries] == [500, 300]


def test_what_cannot_be_compared_is_in_tables_of_its_own() -> None:
    row = {"greedy-plain": 5}
    same = {"1-1": row}
    found = tables(
        result("a", same, track="1-1"),
        result("b", same, track="1-1", episodes=10),
        result("other rom", same, track="1-1", rom=OTHER_ROM),
        result("stickier", same, track="1-1", sticky=0.5),
        result("other package", same, track="1-1", on="gym-super-mario-bros"),
        result("other conditions", {"1-1": {"greedy-sticky": 5}}, track="1-1"),
        result("no track", same),
        result("other levels", {"1-2": row, "1-1": row}),
        result("the same other levels", {"1-1": row, "1-2": row}),
    )
    assert sorted(sorted(names(table)) for table in found) == [
        ["a", "b"], ["no track"], ["other conditions"], ["other levels", "the same other levels"],
        ["other package"], ["other rom"], ["stickier"],
    ]  # fmt: skip
    assert [table.terms.section[0] for table in found] == ["1-1"] * 5 + [""] * 2
    text = as_markdown(found, OVERALL)
    assert text.count("## 1-1 in minutes") == 5
    assert "not comparable with one another" in text


def test_agents_of_one_name_are_one_entry_where_each_stage_has_its_own() -> None:
    row = {"greedy-plain": 10}
    parts = [
        result("many", {"1-1": row}, track="32-stages", minutes=2.0),
        result("many", {"1-2": row, "8-4": {"greedy-plain": 0}}, track="32-stages", minutes=3.5),
        result("one", {"1-1": row}, track="32-stages"),
    ]
    (table,) = tables(*parts)
    assert names(table) == ["many", "one"]
    entry = table.entries[0]
    assert (len(entry.missing), entry.minutes, entry.agent_steps) == (29, 5.5, 14)
    assert entry.spread().mean == pytest.approx(2 / 32)  # what was not played was not cleared
    assert entry.estimate("greedy-plain") is None
    assert table.entries[1].minutes is None
    assert "3 of 32" in as_markdown([table], OVERALL)
    twice = result("many", {"1-2": row}, track="32-stages")
    with pytest.raises(ResultError, match=r"1\.json and 3\.json both have 'many' on 1-2"):
        tables(*parts, twice)


def test_numbers() -> None:
    wins = {"2-1": {"greedy-plain": 10}, "1-1": {"greedy-plain": 4}}
    (table,) = tables(result("a|b_c", wins, minutes=1.25, declared=True))
    (entry,) = table.entries
    bounds = entry.estimate("greedy-plain")
    assert bounds is not None
    assert (bounds.mean, bounds.low, bounds.high) == (0.7, *wilson_interval(14, 20))
    line = as_markdown([table], OVERALL).splitlines()[6]
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    assert cells == [
        "1", r"a\|b\_c", "python", "2", "70.0", "70.0 (48.1 to 85.5)", "40.0", "40.0 (1-1)",
        "2190", "1.2 declared", "10", "c" * 12, "0.1.0, code dddddddd",
    ]  # fmt: skip
    (overall, plain) = csv.DictReader(io.StringIO(as_csv([table], OVERALL)))
    assert (overall["condition"], plain["condition"]) == ("overall", "greedy-plain")
    assert (overall["mean"], overall["worst_level"]) == ("0.7", "1-1")
    assert (overall["low"], float(plain["low"])) == ("", bounds.low)
    assert plain["agent"] == "a|b_c"
    assert float(plain["mean_x"]) == pytest.approx((3000 + 0.4 * 3000 + 0.6 * 300) / 2)
    assert plain["files"] == f"agent.py={'c' * 64}"


def test_a_page_in_which_results_are_text() -> None:
    name = "<script>alert(1)</script>\"'&"
    page = as_html(tables(result(name, {"<b>": {"greedy-plain": 3}}, track="<i>x</i>")), OVERALL)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", page)  # nothing from elsewhere
    assert "default-src 'none'" in page
    text = as_markdown(tables(result(name, {"1-1": {"greedy-plain": 3}})), OVERALL)
    assert "\\<script\\>" in text
    assert not re.search(r"(?<!\\)<", text)


def test_a_name_is_no_formula() -> None:
    text = as_csv(tables(result("=1+1", {"1-1": {"greedy-plain": 3}})), OVERALL)
    assert {row["agent"] for row in csv.DictReader(io.StringIO(text))} == {"'=1+1"}


def test_the_command(cli: Any, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    for wins, name in enumerate(("low", "high")):
        each = result(name, {"1-1": {"greedy-plain": wins}}, track="1-1")
        document = msgspec.to_builtins(each)
        for evaluated in document["levels"]["1-1"].values():
            assert list(evaluated) == ["protocol", "episodes", "full_game"]
        (folder / f"{name}.json").write_text(json.dumps(document))
    done = cli("leaderboard", "results", folder / "low.json")  # named twice, counted once
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[2].strip() for line in done.stdout.splitlines() if line[:1] == "|"]
    assert rows[2:] == ["high", "low"]
    for file, start in {"a.html": "<!DOCTYPE html>", "a.csv": "track,rank", "a.md": "## "}.items():
        done = cli("leaderboard", "results", "--out", file)
        assert done.stdout == f"Wrote {file}: 2 entries in 1 tables.\n"
        assert Path(file).read_text().startswith(start)
    done = cli(
        "leaderboard", "results", "--out", "a.txt", "--format", "csv", "--by", "greedy-plain"
    )
    assert done.returncode == 0, done.stderr
    assert Path("a.txt").read_text().startswith("track,rank")


def test_what_the_command_refuses(cli: Any, tmp_path: Path) -> None:
    assert_refused(cli("leaderboard", tmp_path), "Name at least one result")
    (tmp_path / "a.json").write_text("{}")
    assert_refused(cli("leaderboard", tmp_path), "a.json is no result of mario-agents eval")
    assert_refused(cli("leaderboard", "none.json"), "none.json cannot be read")


def test_from_eval_to_a_table(cli: Any, run: Path) -> None:
    for name in ("first", "second"):
        words = ("--episodes", 2, "--conditions", "greedy-plain", "--out", f"{name}.json")
        assert cli("eval", run, *words, "--name", name).returncode == 0
    done = cli("leaderboard", "first.json", "second.json")
    assert done.returncode == 0, done.stderr
    assert "## No track: 1-1" in done.stdout
    assert "100.0 (34.2 to 100.0)" in done.stdout
