"""Where Mario dies: figures, files, and files that are not as they should be."""

from __future__ import annotations

import json
import multiprocessing
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.curriculum.hotspot_file import HotspotWarning, SharedHotspots
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.errors import HotspotError, OptionError

positions = st.lists(st.integers(0, 3800), max_size=60)


def test_the_usage_example_comes_out_exactly(tmp_path):
    path = tmp_path / "death_hotspots.json"
    earlier = DeathHotspotAggregate.load_or_create(path)
    earlier.record_deaths_batch("1-1", [510] * 45 + [549] * 21 + [775] * 12 + [900, 900])
    earlier.save()

    agg = DeathHotspotAggregate.load_or_create(path)
    agg.record_death("1-1", x_pos=523)
    agg.record_deaths_batch("1-1", [525, 530, 520])
    assert agg.get_hotspots("1-1", min_deaths=3) == [(500, 47), (525, 23), (775, 12)]
    assert agg.suggest_snapshot_positions("1-1", count=3, min_spacing=100) == [475, 750]
    assert agg.suggest_restore_position("1-1", death_x=530) == 450


def test_the_file_is_as_documented(tmp_path):
    path = tmp_path / "new" / "hotspots.json"
    aggregate = DeathHotspotAggregate.load_or_create(path)
    assert not aggregate.save_if_dirty()
    assert not path.exists()
    aggregate.record_death("1-2", 523)
    assert aggregate.save_if_dirty()
    assert not aggregate.save_if_dirty()
    assert json.loads(path.read_text()) == {
        "version": 1, "bucket_size": 25, "levels": {"1-2": {"500": 1}},
    }  # fmt: skip


def test_deaths_in_other_areas_are_told_apart(tmp_path):
    path = tmp_path / "hotspots.json"
    first, second = DeathHotspotAggregate(path=path), DeathHotspotAggregate()
    first.record_death("1-1", 10, area=5)
    first.record_death("1-1", 510, area=5)
    second.record_deaths_batch("1-1", [505])  # nobody said where
    second.record_death("1-1", 520, area=9)
    second.record_death("1-2", 520, area=9)
    first.merge(second)
    first.save()
    assert json.loads(path.read_text())["areas"] == {
        "1-1": {"5": {"0": 1, "500": 1}, "9": {"500": 1}},
        "1-2": {"9": {"500": 1}},
    }
    for aggregate in (first, DeathHotspotAggregate.load_or_create(path)):
        assert aggregate.get_hotspots("1-1", 1) == [(500, 3), (0, 1)]
        assert aggregate.in_area("1-1", 5) == [(500, 2), (0, 1)]
        assert aggregate.in_area("1-1", 9) == [(500, 2)]
        assert aggregate.in_area("1-1", 7) == [(500, 1)]
        assert aggregate.in_area("1-2", 5) == []
    path.write_text(path.read_text().replace('"9"', '"here"'))
    with pytest.raises(HotspotError, match="damaged"):
        DeathHotspotAggregate.load_or_create(path)


def test_suggestions_where_little_is_known():
    aggregate = DeathHotspotAggregate()
    assert aggregate.get_hotspots("1-1") == []
    assert aggregate.suggest_snapshot_positions("1-1") == []
    assert aggregate.suggest_restore_position("1-1", death_x=530) == 475
    assert aggregate.suggest_restore_position("1-1", death_x=30) == 0


@given(deaths=positions, more=positions, count=st.integers(0, 5), spacing=st.integers(0, 300))
def test_what_holds_for_any_deaths(tmp_path_factory, deaths, more, count, spacing):
    first, second, both = (DeathHotspotAggregate() for _ in range(3))
    first.record_deaths_batch("1-1", deaths)
    second.record_deaths_batch("1-1", more)
    both.record_deaths_batch("1-1", deaths + more)
    first.merge(second)
    assert first.get_hotspots("1-1", 1) == both.get_hotspots("1-1", 1)
    assert sum(count for _, count in both.get_hotspots("1-1", 1)) == len(deaths + more)
    chosen = both.spaced_hotspots("1-1", count, spacing)
    assert chosen == sorted(chosen)
    assert len(chosen) <= count
    assert all(b - a >= spacing for a, b in pairwise(chosen))
    for x in deaths:
        assert 0 <= both.suggest_restore_position("1-1", x) <= max(0, x - 50)
    path = tmp_path_factory.getbasetemp() / "hotspots.json"
    both.save(path)
    read = DeathHotspotAggregate.load_or_create(path)
    assert read.get_hotspots("1-1", 1) == both.get_hotspots("1-1", 1)


BAD = {
    "not JSON": ("{oops", "not JSON"),
    "half a file": ('{"version": 1, "bucket_size": 25, "lev', "not JSON"),
    "another format": ('{"version": 7}', "format 1"),
    "a list": ("[1]", "format 1"),
    "wrong bucket size": ('{"version": 1, "bucket_size": 16, "levels": {}}', "buckets of 16 px"),
    "no levels": ('{"version": 1, "bucket_size": 25}', "damaged"),
    "no counts": ('{"version": 1, "bucket_size": 25, "levels": {"1-1": {"500": "x"}}}', "damaged"),
    "off the grid": ('{"version": 1, "bucket_size": 25, "levels": {"1-1": {"501": 1}}}', "damaged"),
    "no buckets": ('{"version": 1, "bucket_size": 25, "levels": {"1-1": 3}}', "damaged"),
}


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_errors_and_stay_as_they_are(tmp_path, text, says):
    path = tmp_path / "hotspots.json"
    path.write_text(text)
    with pytest.raises(HotspotError, match=says):
        DeathHotspotAggregate.load_or_create(path)
    assert path.read_text() == text


def test_files_that_cannot_be_had(tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    with pytest.raises(HotspotError, match="cannot be written"):
        DeathHotspotAggregate(path=blocked / "hotspots.json").save()
    with pytest.raises(HotspotError, match="cannot be read"):
        DeathHotspotAggregate.load_or_create(tmp_path)
    with pytest.raises(HotspotError, match="no file"):
        DeathHotspotAggregate().save()
    with pytest.raises(OptionError, match="bucket_size=0 is not possible"):
        DeathHotspotAggregate(0)
    coarse = DeathHotspotAggregate(50)
    with pytest.raises(HotspotError, match="same bucket_size"):
        DeathHotspotAggregate().merge(coarse)


def test_a_reader_keeps_the_last_good_file_and_says_so(tmp_path):
    path = tmp_path / "hotspots.json"
    writer = DeathHotspotAggregate(path=path)
    writer.record_deaths_batch("1-1", [500] * 3)
    writer.save()
    shared = SharedHotspots(path)
    path.write_text(path.read_text()[:30])
    shared.record_death("1-1", 500)
    with pytest.warns(HotspotWarning, match="not JSON"):
        assert not shared.refresh()
    assert shared.aggregate.get_hotspots("1-1") == [(500, 4)]
    assert "not JSON" in shared.problem
    assert not shared.flush()
    assert len(path.read_text()) == 30, "a damaged file is not ours to overwrite"
    writer.save()
    assert shared.refresh()
    assert shared.problem is None
    assert shared.flush()
    read = DeathHotspotAggregate.load_or_create(path)
    assert read.get_hotspots("1-1") == [(500, 4)], "nothing was lost meanwhile"
    assert shared.aggregate.get_hotspots("1-1") == [(500, 4)], "and nothing counted twice"


def _die_often(path: Path) -> None:
    shared = SharedHotspots(path)
    for _ in range(10):
        shared.record_death("1-1", 800)
        assert shared.flush()


@pytest.mark.slow
def test_many_processes_lose_no_death(tmp_path):
    path = tmp_path / "hotspots.json"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_die_often, args=(path,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert DeathHotspotAggregate.load_or_create(path).get_hotspots("1-1") == [(800, 30)]
    assert {name for name in os.listdir(tmp_path) if name.endswith(".tmp")} == set()


def test_level_stats():
    stats = LevelStats()
    assert stats.completion_rate == 0
    stats.record_attempt(completed=False, best_x=700, frames=100)
    stats.record_death()
    stats.record_warp()
    stats.record_attempt(completed=True, best_x=3161, frames=2500)
    stats.record_attempt(completed=True, best_x=3161, frames=2400)
    stats.record_attempt(completed=True, best_x=3161, frames=2600)
    assert stats.as_dict() == {
        "attempts": 4, "completions": 3, "completion_rate": 0.75, "deaths": 1, "warps": 1,
        "best_x": 3161, "best_time": 2400,
    }  # fmt: skip
    stats.add(LevelStats(warps=2))
    assert (stats.warps, stats.attempts) == (3, 4)


def test_where_no_death_is_needed_the_stretch_ends_at_the_start_of_the_level():
    assert DeathHotspotAggregate().suggest_restore_position("1-1", 500, min_deaths=0) == 0
