"""The archive search: exact restores, runs that replay from a power-on, and the command."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mario_envkit.cli import main
from mario_envkit.curriculum.cells import Cell, Cells, Entry, Trails
from mario_envkit.curriculum.runs import Run
from mario_envkit.curriculum.search import Effort, NotSolved, solve
from mario_envkit.emulator import native
from mario_envkit.emulator.nes_py import nes_py_version
from mario_envkit.emulator.protocol import RAM_SIZE
from mario_envkit.emulator.rom import find_rom
from mario_envkit.env import MarioEnv
from mario_envkit.errors import BackendUnavailable, LevelError, OptionError, ReplayError
from mario_envkit.game.levels import Level
from mario_envkit.game.state import GameState, read_state
from tests.recorded import warp_run

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

QUICK = ("1-1", "1-4", "6-4")


# -- the native explorer ---------------------------------------------------------------------


class Explorer:
    """The native explorer in 1-1, with all of the RAM as its report."""

    rows = 12

    def __init__(self, timing: str) -> None:
        from mario_envkit import _native

        self.env = MarioEnv(level="1-1", timing=timing, backend="native")
        self.env.draw = False
        self.states = np.zeros((self.rows, len(GameState._fields)), np.int64)
        self.ram = np.zeros((self.rows, RAM_SIZE), np.uint8)
        self.frames = np.zeros(self.rows, np.int32)
        start = self.env.start_of(Level(1, 1))
        self.native = _native.Explorer(
            core=start.core,
            cartridge=_native.Cartridge.parse(find_rom().data),
            start=start.data,
            addresses=list(range(RAM_SIZE)),
            states=self.states,
            bytes=self.ram,
            frames=self.frames,
        )


@pytest.mark.parametrize("timing", ["console", "nes-py"])
def test_restores_are_exact(timing):
    """Whatever is kept, restored and forgotten on the way: RAM is that of an undisturbed game."""
    explorer, rng = Explorer(timing), np.random.default_rng(1)
    ways = {0: b""}  # the actions that lead to what is saved under a number
    for _ in range(60):
        start = int(rng.choice(sorted(ways)))
        moves = rng.choice([0x80, 0x81, 0x82, 0x83, 0x40, 0x01, 0x20], explorer.rows)
        holds = np.stack([moves, rng.integers(1, 25, explorer.rows)], axis=1).astype(np.int32)
        begun = explorer.native.explore(start, holds)
        over = explorer.native.ending != 0
        ram, states = explorer.ram.copy(), explorer.states.copy()
        actions = ways[start]
        for row in range(begun):
            actions += bytes([holds[row, 0]]) * int(explorer.frames[row])
            if not (over and row == begun - 1) and rng.random() < 0.3:
                ways[explorer.native.keep(row)] = actions
        assert tuple(states[begun - 1]) == read_state(ram[begun - 1].tolist())
        explorer.env.reset()
        terminated = False
        for byte in actions:
            assert not terminated
            *_, terminated, _, _ = explorer.env.step(byte)
        assert terminated == over
        if not over:  # the environment does not skip what follows an end
            np.testing.assert_array_equal(explorer.env.emulator.ram, ram[begun - 1])
        if len(ways) > 20:
            number = int(rng.choice(sorted(ways)[1:]))
            explorer.native.forget(number)
            del ways[number]


def test_the_explorer_refuses_what_it_does_not_have():
    explorer = Explorer("console")
    holds = np.array([[0x80, 5]], np.int32)
    with pytest.raises(ValueError, match="no saved environment"):
        explorer.native.explore(1, holds)
    with pytest.raises(ValueError, match="saved nothing"):
        explorer.native.keep(0)
    explorer.native.explore(0, holds)
    assert explorer.native.keep(0) == 1
    explorer.native.forget(1)
    with pytest.raises(ValueError, match="no saved environment"):
        explorer.native.explore(1, holds)
    with pytest.raises(ValueError, match="no saved environment"):
        explorer.native.forget(1)
    for wrong in ([[256, 1]], [[-1, 1]], [[0, 0]], [[0, 1]] * (explorer.rows + 1)):
        with pytest.raises(ValueError, match="hold"):
            explorer.native.explore(0, np.array(wrong, np.int32))


def test_a_warp_is_no_way_through():
    from mario_envkit import _native

    env = MarioEnv(level="1-2", backend="native", timing="console")
    start = env.start_of(Level(1, 2))
    holds = [[byte, 1] for byte in (*warp_run(), 0x80, 0x80)]
    explorer = _native.Explorer(
        core=start.core,
        cartridge=_native.Cartridge.parse(find_rom().data),
        start=start.data,
        addresses=[],
        states=np.zeros((len(holds), len(GameState._fields)), np.int64),
        bytes=np.zeros((len(holds), 0), np.uint8),
        frames=np.zeros(len(holds), np.int32),
    )
    assert explorer.explore(0, np.array(holds, np.int32)) == len(warp_run()), "it ends there"
    assert explorer.ending not in (_native.RUNNING, _native.WON)


# -- the archive -----------------------------------------------------------------------------


def test_trails_remember_every_way():
    trails = Trails()
    walk = trails.add(0, 0x80, 3)
    jump, duck = trails.add(walk, 0x81, 2), trails.add(walk, 0x20, 1)
    assert trails.actions(0) == b""
    assert trails.actions(jump) == b"\x80\x80\x80\x81\x81"
    assert trails.actions(duck) == b"\x80\x80\x80\x20"
    assert trails.length(jump) == 5


def test_rarely_chosen_cells_and_new_ones_are_preferred():
    cells = Cells(Entry(0, 0), newest=10)
    for x in range(2000):  # more than the first allocation
        cells.add(Cell(1, x, 4, True, 0, 0), Entry(x + 1, x + 1))
    rng = np.random.default_rng(0)
    chosen = np.bincount([cells.choose(rng) for _ in range(4000)], minlength=len(cells))
    assert 1900 < chosen[-10:].sum() < 2150  # half of the time
    assert chosen[-10:].min() > 150  # each as often as the others
    assert chosen[:-10].max() <= 8  # never one of the others over and over
    assert cells.find(Cell(1, 7, 4, True, 0, 0)) == 8
    assert cells.find(Cell(1, 7, 4, False, 0, 0)) is None


# -- solving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", QUICK)
def test_runs_replay_from_a_power_on(level):
    seen: list[Effort] = []
    run, effort = solve(level, seed=3, progress=seen.append)
    assert seen[-1] == effort
    assert effort.frames >= run.frames
    with MarioEnv(level=level, timing=run.timing) as env:  # by hand, as any user would
        env.reset()
        env.draw = False
        for byte in run.actions[:-1]:
            *_, terminated, _, info = env.step(byte)
            assert not terminated
        *_, terminated, _, info = env.step(run.actions[-1])
    assert terminated
    assert info["flag_get"]
    assert not info["died"]
    assert info["level"] == level


def test_the_same_seed_finds_the_same_run(way):
    assert solve("1-1", seed=0)[0] == way
    assert solve("1-1", seed=1)[0] != way


@pytest.mark.skipif((nes_py_version() or "9") >= "9", reason="needs nes-py 8")
@pytest.mark.timeout(200)
@pytest.mark.parametrize("level", ["1-1", "1-4", "3-1", "5-1", "6-4", "7-1"])
@pytest.mark.slow
def test_runs_in_the_timing_of_nes_py_are_good_on_nes_py(level):
    run, _ = solve(level, timing="nes-py")
    assert run.core == "native/nes-py"
    run.verify(backend="nes-py")


def test_a_run_belongs_to_its_timing(way):
    with pytest.raises(OptionError, match="timing='console' is not possible"):
        way.verify(backend="nes-py")
    wrong = dataclasses.replace(way, timing="nes-py")
    with pytest.raises(ReplayError):
        wrong.verify(backend="native")
    with pytest.raises(ReplayError, match="does not reach"):
        dataclasses.replace(way, actions=way.actions[:-1]).verify()
    with pytest.raises(ReplayError, match="ended after step"):
        dataclasses.replace(way, actions=way.actions + b"\0").verify()


def test_too_little_time_is_said():
    with pytest.raises(NotSolved, match=r"8-4 was found in 0.01 s .* more seconds or .* seed"):
        solve("8-4", seconds=0.01)


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"level": "9-1"}, LevelError, "9-1"),
        ({"level": "full"}, LevelError, "full"),
        ({"seed": -1}, OptionError, "seed=-1"),
        ({"seed": 0.5}, OptionError, "seed=0.5"),
        ({"seconds": 0}, OptionError, "seconds=0"),
        ({"seconds": float("nan")}, OptionError, "seconds=nan"),
        ({"timing": "pal"}, OptionError, "timing='pal'"),
    ],
)
def test_senseless_arguments(kwargs, error, words):
    with pytest.raises(error, match=words):
        solve(**{"level": "1-1", **kwargs})


def test_without_the_native_core(monkeypatch):
    monkeypatch.setattr(native, "_IMPORT_ERROR", ImportError("not built"))
    with pytest.raises(BackendUnavailable, match="compiler"):
        solve("1-1")


# -- the command -----------------------------------------------------------------------------


@pytest.mark.slow
def test_solve_saves_runs_that_play_replays(tmp_path, capsys, monkeypatch):
    out = tmp_path / "new" / "runs"
    assert main(["solve", "--level", "1-4", "--out", str(out), "--seed", "2"]) == 0
    assert "1 of 1 cleared and verified" in capsys.readouterr().out
    (path,) = out.iterdir()
    Run.load(path).verify()

    pytest.importorskip("imageio_ffmpeg")
    video = tmp_path / "run.mp4"
    monkeypatch.delenv("DISPLAY", raising=False)  # a video needs no display
    assert main(["play", "--replay", str(path), "--video", str(video)]) == 0
    assert "1-4: the flag after" in capsys.readouterr().out
    assert video.stat().st_size > 10_000


def test_replays_are_shown_in_a_window(tmp_path, monkeypatch, way, capsys):
    shown = []
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("mario_envkit.window.Window.show", lambda self, rgb: shown.append(rgb) or 1)
    pytest.importorskip("pygame")
    path = tmp_path / "run.json"
    way.save(path)
    assert main(["play", "--replay", str(path)]) == 0
    assert len(shown) == way.frames
    assert len({rgb.tobytes() for rgb in shown[:200]}) > 100
    assert "the flag" in capsys.readouterr().out

    monkeypatch.setattr("mario_envkit.window.Window.show", lambda self, rgb: False)  # closed
    assert main(["play", "--replay", str(path)]) == 0
    assert "the flag" not in capsys.readouterr().out


def test_time_that_runs_out_is_status_1(tmp_path, capsys):
    arguments = ["solve", "--level", "8-4", "--seconds", "0.01", "--out", str(tmp_path)]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "No way through 8-4 was found in 0.01 s" in printed.out
    assert "0 of 1 cleared" in printed.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["solve", "--level", "9-9", "--out", "{tmp}"], "There is no level '9-9'"),
        (["solve", "--seconds", "-1", "--out", "{tmp}"], "seconds=-1.0"),
        (["solve", "--runs", "0", "--out", "{tmp}"], "runs=0 is not possible"),
        (["solve", "--out", "{tmp}/file/x"], "cannot be made"),
        (["play", "--replay", "{tmp}/none.json"], "cannot be read: No such file"),
        (["play", "--replay", "{tmp}/file"], "is not a run: it holds no JSON object"),
        (["play", "--replay", "{tmp}/file", "--level", "1-1"], "leave --level and --game away"),
        (["play", "--replay", "{tmp}/file", "--video", "{tmp}/no/a.mp4"], "create it first"),
    ],
)
def test_errors_are_one_sentence(tmp_path: Path, capsys, arguments, words):
    (tmp_path / "file").write_text("not JSON")
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1


def test_the_example_runs(tmp_path, capsys, monkeypatch):
    import runpy

    example = Path(__file__).parents[2] / "examples" / "solve_all_stages.py"
    monkeypatch.setattr("sys.argv", [str(example), str(tmp_path), "--levels", "1-4"])
    runpy.run_path(str(example), run_name="__main__")
    assert "1-4: " in capsys.readouterr().out
    Run.load(tmp_path / "1-4.json").verify()


def test_several_runs_are_different_ones(tmp_path, capsys, monkeypatch):
    assert main(["solve", "--level", "1-1", "--out", str(tmp_path), "--runs", "3"]) == 0
    names = ["smb-1-1-console.json", "smb-1-1-console-2.json", "smb-1-1-console-3.json"]
    runs = [Run.load(tmp_path / name) for name in names]
    assert len({run.actions for run in runs}) == 3
    assert runs[0] == solve("1-1", seed=0)[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert "1 of 1 cleared and verified" in capsys.readouterr().out
    effort = Effort(Level(1, 1), 5, 0.1, 3)
    monkeypatch.setattr("mario_envkit.solve.solve", lambda *_, **__: (runs[0], effort))
    assert main(["solve", "--level", "1-1", "--out", str(tmp_path / "x"), "--runs", "2"]) == 1
    assert "There were only 1 different runs." in capsys.readouterr().out


@pytest.mark.parametrize(("actions", "skip"), [("simple", 4), ("right+A,right,right+A+B", 3)])
def test_a_search_can_do_what_an_agent_can(actions, skip):
    from mario_envkit.game.actions import resolve_actions

    run, _ = solve("1-1", seed=2, actions=actions, frame_skip=skip)
    held = np.frombuffer(run.actions, np.uint8)
    assert set(held.tolist()) <= set(resolve_actions(actions))
    assert (np.repeat(held[::skip], skip)[: len(held)] == held).all()
    assert len(set(held.tolist())) > 1


def test_what_no_agent_has_is_refused():
    with pytest.raises(OptionError, match="frame_skip"):
        solve("1-1", frame_skip=0)
    with pytest.raises(OptionError, match="actions"):
        solve("1-1", actions="simpel")
