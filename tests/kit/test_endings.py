"""How episodes end: the last axe, warps, deaths; the same for every console."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import pytest

from mario_envkit.emulator import native
from mario_envkit.emulator.backends import make_emulator
from mario_envkit.emulator.rom import find_rom, installed_roms
from mario_envkit.env import MarioEnv
from mario_envkit.errors import MarioEnvkitError
from mario_envkit.game import ram as m
from mario_envkit.game.endings import DEATH_CAUSES, ENDINGS, ending_of, is_success, stage_of_step
from mario_envkit.game.levels import Level
from mario_envkit.game.start import StartPoint
from mario_envkit.game.state import GameState
from mario_envkit.registration import make_mario
from tests.recorded import LAST_STAGES, TO_36_1, ZONE, begin_late, last_run, warp_run

STATE = GameState(
    world=1, stage=2, area=7, x_pos=40, y_pos=79, time=400, score=0, coins=0, life=2, powerup=0,
    flag_get=False, dying=False, dead=False, fallen=False, busy=False, world_over=False,
    game_over=False,
)  # fmt: skip
ELSEWHERE = STATE._replace(world=2, stage=1)
CONSOLES = [("native", "console"), ("native", "nes-py"), ("nes-py", "nes-py")]


def make_game(game: str, level: str, backend: str, timing: str, **kwargs: Any) -> MarioEnv:
    try:
        make_emulator(find_rom(game), backend, timing).close()
    except MarioEnvkitError as error:  # of nes-py 9, which has a timing of its own
        pytest.skip(str(error))
    env = MarioEnv(game, level, backend=backend, timing=timing, **kwargs)
    env.draw = False
    return env


def play(env: Any, actions: Any) -> list[tuple[float, bool, dict[str, Any]]]:
    """Reward, terminated and info of every step, to the end of the episode."""
    said = []
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        assert not truncated
        assert terminated == (info["ending"] != "")
        assert info["ending"] in ENDINGS
        assert info["death_cause"] in DEATH_CAUSES
        assert (info["death_cause"] != "") == info["died"]
        said.append((reward, terminated, info))
        if terminated:
            break
    return said


@pytest.mark.parametrize(
    ("state", "level", "ending"),
    [
        (STATE, Level(1, 2), ""),
        (STATE._replace(dead=True), Level(1, 2), "enemy"),
        (STATE._replace(dying=True, fallen=True), Level(1, 2), "pit"),
        (STATE._replace(dying=True, time=0), Level(1, 2), "clock"),
        (STATE._replace(flag_get=True), Level(1, 2), "flag"),
        (STATE._replace(flag_get=True, dead=True), Level(1, 2), "enemy"),
        (ELSEWHERE._replace(flag_get=True), Level(1, 2), "warp"),
        (ELSEWHERE._replace(dead=True), Level(1, 2), "enemy"),
        (STATE._replace(dead=True), None, ""),
        (STATE._replace(flag_get=True), None, ""),
        (STATE._replace(flag_get=True, world_over=True), None, ""),
        (STATE._replace(dead=True, game_over=True, fallen=True), None, "pit"),
        (STATE._replace(world=8, stage=4, flag_get=True, world_over=True), None, "flag"),
        (STATE._replace(world=36, stage=1), None, ""),
    ],
)
@pytest.mark.parametrize("end_on_exit", [True, False])
def test_the_rules(state: GameState, level: Level | None, ending: str, end_on_exit: bool) -> None:
    assert ending_of(state, level, last_world=8, end_on_exit=end_on_exit) == ending
    assert is_success(ending) == (ending == "flag")


@pytest.mark.parametrize(
    ("level", "ending", "before", "stage"),
    [
        ("2-1", "warp", "1-2", "1-2"),
        ("2-1", "warp", "", "2-1"),
        ("2-1", "enemy", "1-2", "2-1"),
        ("1-2", "", "1-1", "1-2"),
    ],
)
def test_the_step_of_a_warp_belongs_to_the_stage_it_leaves(
    level: str, ending: str, before: str, stage: str
) -> None:
    assert stage_of_step(level, ending, before) == stage
    many = [np.array([value] * 2, object) for value in (level, ending, before)]
    assert stage_of_step(*many).tolist() == [stage] * 2


def test_leaving_a_single_stage_is_an_end_if_that_is_wanted() -> None:
    assert ending_of(ELSEWHERE, Level(1, 2), last_world=8, end_on_exit=True) == "warp"
    assert ending_of(ELSEWHERE, Level(1, 2), last_world=8, end_on_exit=False) == ""
    assert ending_of(ELSEWHERE, None, last_world=8, end_on_exit=True) == ""


@pytest.mark.parametrize(("backend", "timing"), CONSOLES)
@pytest.mark.parametrize("game", LAST_STAGES)
@pytest.mark.slow
def test_the_last_axe_wins_the_full_game(game: str, backend: str, timing: str) -> None:
    run = last_run(game, timing)
    env = make_game(game, "full", backend, timing)
    env.reset(options={"start": StartPoint(env.start_of(run.level), None)})
    said = play(env, run.actions)
    assert len(said) == run.frames
    reward, terminated, info = said[-1]
    assert terminated
    assert (info["flag_get"], info["ending"], info["died"]) == (True, "flag", False)
    assert (info["level"], info["stages_cleared"]) == (str(run.level), 1)
    assert [info["stages_cleared"] for *_, info in said[:-1]] == [0] * (run.frames - 1)
    assert env.emulator.ram[m.OPERATION_MODE] == m.MODE_END_OF_WORLD, "nothing was skipped"
    if backend == "native":  # as a single stage the same run is worth the same
        env.reset(options={"level": run.level})
        assert play(env, run.actions)[-1][:2] == (reward, terminated)
    env.close()


@pytest.mark.parametrize("rom", installed_roms(), ids=lambda rom: f"{rom.game}-{rom.variant}")
def test_the_last_axe_of_every_cartridge(rom: Any) -> None:
    run = last_run(rom.game, "console")
    env = make_game(rom.game, "full", "native", "console", rom_variant=rom.variant)
    env.reset(options={"start": StartPoint(env.start_of(run.level), None)})
    actions = run.actions
    if rom.variant == "rectangle":  # on which Mario runs into other things
        actions = actions[:50]
        play(env, actions)
        env.emulator.ram[m.OPERATION_MODE] = m.MODE_END_OF_WORLD
    assert play(env, actions)[-1][2]["ending"] == "flag"


@pytest.mark.skipif(not native.is_available(), reason="needs the native core")
@pytest.mark.parametrize("game", LAST_STAGES)
def test_the_last_axe_between_two_decisions(game: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = last_run(game, "console")
    begin_late(monkeypatch, None, run.level, run.actions[:-2])
    byte = run.actions[-1]
    env = make_mario(game=game, level="full", frame_skip=4, noop_max=0, screen_size=20)
    env.reset()
    ((_, terminated, info),) = play(env, [byte])
    assert (terminated, info["ending"], info["frame"]) == (True, "flag", 2)


def test_an_axe_of_another_world_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_game("smb", "full", "native", "console")
    env.reset(options={"start": StartPoint(env.start_of(Level(1, 4)), None)})
    env.emulator.ram[m.OPERATION_MODE] = m.MODE_END_OF_WORLD
    (_, _, first), (_, _, second) = play(env, [0, 0])
    assert (first["flag_get"], first["level"], first["stages_cleared"]) == (True, "1-4", 1)
    assert (second["flag_get"], second["level"], second["stages_cleared"]) == (False, "2-1", 1)
    assert second["frame"] == 1


@pytest.mark.parametrize("cause", ["pit", "clock", "enemy"])
@pytest.mark.parametrize("game", LAST_STAGES)
def test_the_last_life_ends_the_full_game(game: str, cause: str) -> None:
    env = make_game(game, "full", "native", "console")
    env.reset()
    for life in (1, 0):
        env.emulator.ram[m.LIFE] = life
        for step in itertools.count():
            if step == 20:
                if cause == "pit":
                    env.emulator.ram[m.Y_VIEWPORT] = 2
                elif cause == "clock":
                    env.emulator.ram[m.TIME.start : m.TIME.stop] = 0, 0, 2
                else:
                    env.emulator.ram[m.PLAYER_STATE] = m.STATE_DYING
            ((_, terminated, info),) = play(env, [0])
            if info["died"]:
                assert info["death_cause"] == cause
            if terminated or (life and info["died"]):
                break
    assert (terminated, info["ending"], info["stages_cleared"]) == (True, cause, 0)


def test_a_warp_ends_a_single_stage() -> None:
    env = make_game("smb", "1-2", "native", "console")
    env.reset()
    said = play(env, warp_run())
    assert len(said) == len(warp_run())
    _, terminated, info = said[-1]
    assert (terminated, info["ending"], info["flag_get"], info["died"]) == (
        True, "warp", False, False,
    )  # fmt: skip
    assert (info["level"], info["stages_cleared"]) == ("2-1", 0)


def test_without_end_on_exit_it_goes_on_as_in_7_4() -> None:
    env = make_game("smb", "1-2", "native", "console", end_on_exit=False)
    env.reset()
    *_, (_, terminated, info) = play(env, warp_run())
    assert (terminated, info["ending"], info["level"]) == (False, "", "2-1")
    here = env.start_point()
    *_, (_, terminated, info) = play(env, [0x82] * 400)
    assert (terminated, info["died"], info["ending"]) == (True, True, "enemy")
    # A flag there is what 7.4 calls one, and no success.
    env.reset(options={"start": here})
    play(env, [0])
    env.emulator.ram[m.OPERATION_MODE] = m.MODE_END_OF_WORLD
    ((_, terminated, info),) = play(env, [0])
    assert (terminated, info["flag_get"], info["ending"]) == (True, True, "warp")


@pytest.mark.parametrize("level", ["1-2", "full"])
def test_the_minus_world_is_a_level(level: str) -> None:
    env = make_game("smb", level, "native", "console", end_on_exit=False)
    stage = None if level == "full" else Level(1, 2)
    env.reset(options={"start": StartPoint(env.start_of(Level(1, 2)), stage)})
    *most, last = warp_run()
    play(env, most)
    env.emulator.ram[ZONE] = TO_36_1
    *_, (_, _, info) = play(env, [last, 0x80, 0x80])
    assert (info["level"], info["world"], info["stage"]) == ("36-1", 36, 1)
    assert info["ending"] == ""


@pytest.mark.parametrize(
    ("env_id", "ends"),
    [
        ("Mario-v0", True),
        ("MarioTrain-v0", True),
        ("MarioTiles-v0", True),
        ("MarioSnapshot-v0", True),
        ("mario_envkit/SuperMarioBros-1-2-v0", False),
        ("mario_envkit/SuperMarioBrosRandomStages-v0", False),
        ("mario_envkit/SuperMarioBros2-v0", False),
    ],
)
def test_which_ids_end_with_a_warp(env_id: str, ends: bool) -> None:
    env = gymnasium.make(env_id)
    assert env.unwrapped.end_on_exit is ends
    env.close()
