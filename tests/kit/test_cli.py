"""``mario-envkit`` as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import mario_envkit
from mario_envkit.cli import main
from mario_envkit.play import play


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "mario_envkit.cli", *arguments],
        capture_output=True, text=True, env={**env, **environment}, check=False,
    )  # fmt: skip


def test_doctor_says_what_is_there():
    result = run("doctor")
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    for word in (mario_envkit.__version__, "gymnasium", "lost_levels", "vanilla", "nes-py"):
        assert word in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["play"], "there is no display here"),
        (["play", "--level", "9-1"], "There is no level '9-1'"),
        (["play", "--rom", "none.nes"], "cannot be read"),
        (["play", "--video", "no/such/folder/a.mp4"], "does not exist; create it first"),
    ],
)
def test_errors_are_one_sentence(arguments, message):
    driver = {} if arguments == ["play"] else {"SDL_VIDEODRIVER": "dummy"}
    result = run(*arguments, **driver)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["play", "--help"])
    assert "X jumps" in capsys.readouterr().out


def test_playing_saves_a_video(tmp_path, monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    shown = []

    def keys(window):  # hold right, and close the window after a while, as a person would
        shown.append(window)
        if len(shown) == 90:
            pygame.event.post(pygame.event.Event(pygame.QUIT))
        return 128

    monkeypatch.setattr("mario_envkit.window.Window.joypad", keys)
    play("1-1", video=tmp_path / "run.mp4", scale=1)
    assert [p.name for p in tmp_path.iterdir()] == ["run.mp4"]
    assert (tmp_path / "run.mp4").stat().st_size > 1000
    assert len(shown) == 90


def test_maps_of_several_levels_are_png_files(tmp_path, capsys):
    assert main(["map", "--level", "1-1,1-2", "--out", str(tmp_path / "maps")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps-1-1.png", "maps-1-2.png"]
