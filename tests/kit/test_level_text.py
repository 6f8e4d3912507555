"""One syntax for levels, in Python and in commands."""

from __future__ import annotations

import numpy as np
import pytest

from mario_envkit.cli import main
from mario_envkit.curriculum import level_text
from mario_envkit.curriculum.level_text import resolve_schedule
from mario_envkit.curriculum.schedule import (
    Fixed,
    OnSuccess,
    Random,
    Sequential,
    Weighted,
    Worst,
)
from mario_envkit.errors import LevelError, MarioEnvkitError
from mario_envkit.game import levels as game_levels
from mario_envkit.game.levels import Level, all_levels

THREE = (Level(1, 1), Level(1, 2), Level(1, 3))


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("1-1..1-3", THREE),
        (" 1-1 .. 1-3 ", THREE),
        ("1-1,1-2,1-3", THREE),
        ("1-1,1-2..1-3", THREE),
        (["1-1", (1, 2), Level(1, 3)], THREE),
        (["1-1", "1-2..1-3"], THREE),
        (np.array(["1-1", "1-2", "1-3"]), THREE),
        (np.array([[1, 1], [1, 2], [1, 3]]), THREE),
        ("1-1", THREE[:1]),
        ("1,1", THREE[:1]),
        (Level(1, 1), THREE[:1]),
        ("all", all_levels()),
    ],
    ids=str,
)
def test_several_levels(text, levels):
    assert game_levels.parse_levels(text) == levels
    assert level_text.each_level(text) == levels
    for kind in (Random, Sequential, OnSuccess, Weighted, Worst):
        assert kind(text).levels == levels


@pytest.mark.parametrize(
    "text", ["", "9-1", "1-3..1-1", "1-1,,1-2", "every", [], [None], None, 3.5]
)
def test_what_names_no_levels(text):
    for reader in (game_levels.parse_levels, level_text.each_level, Random, OnSuccess):
        with pytest.raises(LevelError):
            reader(text)


def test_all_is_an_order_at_random_as_well():
    assert isinstance(resolve_schedule("all"), Random)
    assert resolve_schedule("all").levels == resolve_schedule("random").levels == all_levels()
    assert resolve_schedule("sequential:all").levels == all_levels()
    assert len(resolve_schedule("all", "lost_levels").levels) == 16
    assert isinstance(resolve_schedule(" full "), Fixed)


def test_places_to_play_one_by_one():
    assert level_text.each_place(["1-1..1-3", "8-4,2-1"]) == ["1-1", "1-2", "1-3", "8-4", "2-1"]
    assert level_text.each_place("1-1..1-2") == ["1-1", "1-2"]
    assert len(level_text.each_place(["all"])) == 32
    assert len(level_text.each_place(["all"], "lost_levels")) == 16
    assert level_text.each_place(["full", "weighted:1-1..1-2", "random"]) == [
        "full", "weighted:1-1..1-2", "random",
    ]  # fmt: skip
    assert level_text.each_place([]) == []
    with pytest.raises(LevelError, match="name 1-2 twice"):
        level_text.each_place(["1-1..1-3", "1-2"])
    for wrong in ("9-1", "radnom", "weighted:9-1"):
        with pytest.raises(LevelError):
            level_text.each_place([wrong])


def test_levels_of_an_order_and_the_whole_game():
    assert level_text.each_level("on-success:1-1..1-3") == THREE
    with pytest.raises(LevelError, match="'full' is the whole game; give single levels"):
        level_text.each_level("full")


def test_solve_and_map_take_several_levels(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["map", "--level", "1-1..1-2", "--out", "m.png"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m-1-1.png", "m-1-2.png"]
    assert main(["map", "--level", "2-1", "--out", "one.png"]) == 0
    assert (tmp_path / "one.png").exists()
    assert main(["solve", "--level", "1-1,1-4", "--out", "runs"]) == 0
    found = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert found == ["smb-1-1-console.json", "smb-1-4-console.json"]
    capsys.readouterr()
    assert main(["map", "--level", "full"]) == 2
    assert "'full' is the whole game" in capsys.readouterr().err


def test_schedules_check_their_other_arguments():
    for make in (
        lambda: OnSuccess("1-1", 0), lambda: OnSuccess("1-1", 1.5), lambda: Weighted("1-1", "many"),
        lambda: Weighted("1-1", stats={"1-1": 3}), lambda: Weighted("1-1", stats=[1]),
        lambda: Fixed("9-9"),
    ):  # fmt: skip
        with pytest.raises(MarioEnvkitError):
            make()
