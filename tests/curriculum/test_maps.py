"""Maps of levels, and deaths on them."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from mario_envkit.cli import main
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.emulator import native
from mario_envkit.errors import LevelError, OptionError
from mario_envkit.game.levels import all_levels
from mario_envkit.maps import LevelMap, draw_deaths, draw_level, save_png

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

SCROLL_PAGE, SCROLL_X = 0x071A, 0x071C


def test_the_map_is_what_the_screen_shows_along_a_run(way):
    drawn = draw_level("1-1").picture
    assert drawn.shape == (208, 3488, 3)
    env = way.make_env()
    before = None
    compared = 0
    for step, _ in enumerate(way.play(env)):
        ram = env.emulator.ram
        if step % 50 == 0 and before is not None and before + 256 <= drawn.shape[1]:
            # The picture shows the scroll that the game had decided on a frame earlier.
            screen = env.emulator.screen()[32:]
            differs = (screen != drawn[:, before : before + 256]).any(axis=2)
            # Mario, enemies, blinking question marks, blocks that he hit.
            assert differs.mean() < 0.05
            assert np.median(differs.mean(axis=0)) == 0
            compared += 1
        before = int(ram[SCROLL_PAGE]) << 8 | int(ram[SCROLL_X])
    assert compared > 20


def test_there_are_no_sprites_in_it():
    sky = draw_level("1-1").picture[0, 0]
    drawn = draw_level("1-1").picture
    # Above the ground left of the first block there is Mario's start and later the first Goomba.
    assert (drawn[:80, 40:120] == sky).all()
    assert (drawn[140:168, 330:360] == sky).all()


@pytest.mark.slow
def test_every_level_has_an_end():
    for level in all_levels():
        picture = draw_level(level).picture
        assert 2500 < picture.shape[1] < 6500
        assert len(np.unique(picture[:, -64:].reshape(-1, 3), axis=0)) > 1, f"{level} ends blank"


def test_mazes_are_drawn_to_the_axe():
    for level, width in (("4-4", 3152), ("7-4", 3664), ("8-4", 5200)):
        assert draw_level(level).picture.shape[1] == width


def test_deaths_are_bars_as_high_as_their_share():
    level_map = LevelMap("1-1", np.full((208, 500, 3), 100, np.uint8))
    deaths = DeathHotspotAggregate()
    deaths.record_deaths_batch("1-1", [110] * 36 + [210] * 18)
    deaths.record_deaths_batch("1-2", [310] * 90)
    picture = draw_deaths(level_map, deaths)
    assert picture.shape == (256, 500, 3)
    red = (picture[208:] == (225, 30, 30)).all(axis=2).sum(axis=0)
    assert set(red[101:124]) == {36}
    assert set(red[201:224]) == {18}
    assert not red[225:].any()
    assert picture[0, 112, 0] > picture[0, 212, 0] > 100, "the deadlier, the redder"
    assert (picture[:208, 225:] == 100).all()
    assert (level_map.picture == 100).all(), "the map itself stays as it is"
    deaths.record_death("1-1", 410, area=7)
    assert (draw_deaths(level_map, deaths) == picture).all(), "not in the area that is drawn"
    empty = draw_deaths(level_map, DeathHotspotAggregate())
    assert (empty[:208] == level_map.picture).all()


def test_png(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    save_png(picture, tmp_path / "a.png")
    assert (cv2.imread(str(tmp_path / "a.png"))[:, :, ::-1] == picture).all()
    with pytest.raises(OptionError, match="cannot be saved"):
        save_png(picture, tmp_path / "none" / "a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_no_file_takes_the_place_of_a_device_or_pipe(tmp_path):
    pipe = tmp_path / "map.png"
    os.mkfifo(pipe)
    with pytest.raises(OptionError, match="a device or a pipe"):
        save_png(np.zeros((4, 4, 3), np.uint8), pipe)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_command(tmp_path, capsys):
    file = tmp_path / "deaths.json"
    deaths = DeathHotspotAggregate(path=file)
    deaths.record_deaths_batch("1-2", [500] * 4)
    deaths.save()
    plain, marked = tmp_path / "plain.png", tmp_path / "marked.png"
    assert main(["map", "--level", "1-2", "--out", str(plain)]) == 0
    assert main(["map", "--level", "1-2", "--out", str(marked), "--hotspots", str(file)]) == 0
    assert "4 deaths in 1-2" in capsys.readouterr().out
    assert cv2.imread(str(plain)).shape == (208, 3424, 3)
    assert cv2.imread(str(marked)).shape == (256, 3424, 3)
    for wrong in (
        ["--level", "9-9"],
        ["--hotspots", str(tmp_path / "none.json")],
        ["--hotspots", str(plain)],
        ["--out", str(tmp_path / "no" / "map.png")],
    ):
        assert main(["map", *wrong]) == 2
        said = capsys.readouterr().err
        assert said.startswith("mario-envkit: ")
        assert said.count("\n") == 1
    with pytest.raises(LevelError):
        draw_level("9-9")
