"""The command ``mario-envkit``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from mario_envkit.arguments import read_whole_number
from mario_envkit.command_line import run_command
from mario_envkit.errors import HotspotError, OptionError

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_rom(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rom", type=Path, help="cartridge image to use, not the installed")
    command.add_argument(
        "--rom-unknown",
        default="refuse",
        metavar="refuse|allow",
        help="what to do with an image that is not known, such as a hack (default refuse)",
    )


def argument_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="mario-envkit",
        description="Super Mario Bros as a Gymnasium environment: play it, solve it, check it.",
        epilog="In Python: import gymnasium, mario_envkit; gymnasium.make('MarioTrain-v0').",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_play(commands)
    _add_solve(commands)
    _add_map(commands)
    commands.add_parser(
        "doctor",
        help="print versions, ROMs and backends found, and their speed",
        description="Print versions, ROMs and backends found, and frames a second of each backend.",
    )
    return parser


def _add_play(commands: _Commands) -> None:
    play = commands.add_parser(
        "play",
        help="play a level with the keyboard",
        description="Arrows move, X jumps (A), Z runs and fires (B), Return is START, Escape ends.",
    )
    play.add_argument(
        "--level", help="1-1, 1-1..2-4, all, full, weighted:1-1..2-4 or another order (default 1-1)"
    )
    play.add_argument("--game", help="smb or lost_levels (default smb)")
    play.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="show a run that 'solve' saved; with --video record it instead, without a window",
    )
    _add_rom(play)
    play.add_argument("--backend", help="emulator backend (default: the best there is)")
    play.add_argument("--video", type=Path, help="save the game as an MP4 under this name")
    play.add_argument(
        "--tiles", action="store_true", help="show what observation='tiles' sees beside the game"
    )
    play.add_argument(
        "--scale", type=read_whole_number, default=3, help="screen pixels a game pixel (default 3)"
    )


def _add_solve(commands: _Commands) -> None:
    solve = commands.add_parser(
        "solve",
        help="find a way to the flag by search, without learning, and save it",
        description="Find a way to the flag with the first phase of Go-Explore (return to a place, "
        "explore from there), verify it from a power-on, and save it for 'play --replay'.",
        epilog="Exit status: 0 all levels cleared, 1 time ran out for some, 2 wrong arguments.",
    )
    solve.add_argument(
        "--level", default="all", help="1-1, several like 1-1..2-4,8-4, or all (default all)"
    )
    solve.add_argument(
        "--runs",
        type=read_whole_number,
        default=1,
        help="different runs of each level, as NAME.json, NAME-2.json and so on (default 1)",
    )
    solve.add_argument(
        "--actions",
        metavar="SET",
        help="hold only these, such as simple, so that an agent that has them can play the runs "
        "(default: what complex has)",
    )
    solve.add_argument(
        "--frame-skip",
        type=read_whole_number,
        default=1,
        help="frames of an agent's step, of which everything is held a multiple (default 1)",
    )
    solve.add_argument("--out", type=Path, default=Path("runs"), help="folder (default runs)")
    solve.add_argument(
        "--seed", type=read_whole_number, default=0, help="of the random moves (default 0)"
    )
    solve.add_argument(
        "--seconds", type=float, default=60, help="when to give up on a level (default 60)"
    )
    solve.add_argument("--game", default="smb", help="smb or lost_levels (default smb)")
    solve.add_argument("--timing", default="console", help="console or nes-py (default console)")
    _add_rom(solve)


def _add_map(commands: _Commands) -> None:
    level_map = commands.add_parser(
        "map",
        help="draw a level from end to end, and where Mario died in it",
        description="Draw a level from end to end as a PNG, with the deaths of a hotspot file.",
    )
    level_map.add_argument(
        "--level",
        default="1-1",
        help="1-1, or several like 1-1..2-4,8-4 or all, as map-1-1.png and so on (default 1-1)",
    )
    level_map.add_argument(
        "--out",
        type=Path,
        default=Path("map.png"),
        help="PNG, .png may be left out (default map.png)",
    )
    level_map.add_argument(
        "--hotspots", type=Path, metavar="FILE", help="draw the deaths in this file, too"
    )
    level_map.add_argument("--game", default="smb", help="smb or lost_levels (default smb)")
    _add_rom(level_map)


def _doctor(options: argparse.Namespace) -> int:
    from mario_envkit.doctor import report

    for line in report():
        print(line, flush=True)
    return 0


def _play(options: argparse.Namespace) -> int:
    from mario_envkit.play import play, replay

    if options.replay is None:
        play(
            options.level or "1-1",
            video=options.video,
            scale=options.scale,
            tiles=options.tiles,
            game=options.game or "smb",
            rom=options.rom,
            rom_unknown=options.rom_unknown,
            backend=options.backend,
        )
        return 0
    if options.level or options.game:
        raise OptionError("A run has its own level and game: leave --level and --game away.")
    replay(
        options.replay,
        video=options.video,
        scale=options.scale,
        tiles=options.tiles,
        rom=options.rom,
        rom_unknown=options.rom_unknown,
        backend=options.backend,
    )
    return 0


def _solve(options: argparse.Namespace) -> int:
    from mario_envkit.solve import solve_levels

    unsolved = solve_levels(
        options.level,
        options.out,
        game=options.game,
        timing=options.timing,
        rom=options.rom,
        rom_unknown=options.rom_unknown,
        seed=options.seed,
        seconds=options.seconds,
        runs=options.runs,
        actions=options.actions,
        frame_skip=options.frame_skip,
    )
    return 1 if unsolved else 0


def _map(options: argparse.Namespace) -> int:
    from mario_envkit.arguments import as_file
    from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
    from mario_envkit.curriculum.level_text import each_level
    from mario_envkit.maps import draw_deaths, draw_level, save_png

    if options.hotspots is not None and not options.hotspots.exists():
        raise HotspotError(f"There is no hotspot file {options.hotspots}; give one of a run.")
    levels = each_level(options.level, options.game)
    path = as_file("out", options.out)
    path = path if path.suffix else path.with_suffix(".png")
    for level in levels:
        level_map = draw_level(
            level, game=options.game, rom=options.rom, rom_unknown=options.rom_unknown
        )
        picture = level_map.picture
        if options.hotspots is not None:
            deaths = DeathHotspotAggregate.load_or_create(options.hotspots)
            picture = draw_deaths(level_map, deaths)
            print(f"{deaths.deaths(level_map.level)} deaths in {level_map.level}")
        out = path if len(levels) == 1 else path.with_stem(f"{path.stem}-{level}")
        save_png(picture, out)
        print(f"saved {out}")
    return 0


_COMMANDS = {"doctor": _doctor, "map": _map, "play": _play, "solve": _solve}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see :func:`~mario_envkit.command_line.run_command`.

    Status 1: ``solve`` ran out of time for a level.
    """
    return run_command("mario-envkit", lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    options = argument_parser().parse_args(arguments)
    return _COMMANDS[options.command](options)


if __name__ == "__main__":
    sys.exit(main())
