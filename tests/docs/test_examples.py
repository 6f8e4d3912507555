"""The examples beside the guide: each runs on a small budget, and says with --help what it does."""

from __future__ import annotations

import json
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mario_envkit.emulator import native

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))
needs_native = pytest.mark.skipif(not native.is_available(), reason="needs the native core")
needs_sb3 = pytest.mark.skipif(
    find_spec("stable_baselines3") is None, reason="needs Stable-Baselines3"
)


def example(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """As ``python examples/NAME ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("argument", ["--help", "--no-such-option"])
def test_questions_and_mistakes_write_nothing(
    name: str,
    argument: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if name == "sb3_ppo.py":
        pytest.importorskip("stable_baselines3")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        example(name, monkeypatch, argument)
    assert ended.value.code == (0 if argument == "--help" else 2)
    said = capsys.readouterr()
    assert f"python examples/{name}" in said.out if argument == "--help" else "usage" in said.err
    assert not list(tmp_path.iterdir())


@needs_native
def test_a_map_of_deaths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    example("hotspot_map.py", monkeypatch, "map.png", "--steps", "3200")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        example("hotspot_map.py", monkeypatch, "other.png", "--deaths", "none.json")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


@needs_native
def test_deaths_are_noted_in_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deaths.json"
    example("snapshot_env.py", monkeypatch, str(file), "--steps", "300")
    assert "Total saves" in capsys.readouterr().out
    assert json.loads(file.read_text(encoding="utf-8"))
    example("hotspot_map.py", monkeypatch, str(tmp_path / "map.png"), "--deaths", str(file))
    assert "deaths in 1-1" in capsys.readouterr().out


@needs_native
def test_a_way_through_a_stage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example("solve_all_stages.py", monkeypatch, str(tmp_path), "--levels", "1-1")
    assert "1-1:" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["1-1.json"]


@needs_native
@needs_sb3
@pytest.mark.slow
def test_ppo_of_stable_baselines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example("sb3_ppo.py", monkeypatch, "--steps", "1024")
    assert "restores:" in capsys.readouterr().out
