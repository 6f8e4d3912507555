"""The command ``mario-envkit``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mario_envkit.errors import MarioEnvkitError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mario-envkit",
        description="Super Mario Bros as a Gymnasium environment: play it, check the installation.",
        epilog="In Python: import gymnasium, mario_envkit; gymnasium.make('MarioTrain-v0').",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    play = commands.add_parser(
        "play",
        help="play a level with the keyboard",
        description="Arrows move, X jumps (A), Z runs and fires (B), Return is START, Escape ends.",
    )
    play.add_argument("--level", default="1-1", help="1-1 to 8-4, 'random' or 'full' (default 1-1)")
    play.add_argument("--game", default="smb", help="smb or lost_levels (default smb)")
    play.add_argument("--rom", type=Path, help="cartridge image to use instead of the installed")
    play.add_argument("--backend", help="emulator backend (default: the best there is)")
    play.add_argument("--video", type=Path, help="save the game as an MP4 under this name")
    play.add_argument("--scale", type=int, default=3, help="screen pixels a game pixel (default 3)")

    commands.add_parser(
        "doctor",
        help="print versions, ROMs and backends found, and their speed",
        description="Print versions, ROMs and backends found, and frames a second of each backend.",
    )
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.command == "doctor":
        from mario_envkit.doctor import report

        for line in report():
            print(line, flush=True)
        return
    from mario_envkit.play import play

    play(
        options.level,
        video=options.video,
        scale=options.scale,
        game=options.game,
        rom=options.rom,
        backend=options.backend,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; errors are one sentence on stderr and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except MarioEnvkitError as error:
        print(f"mario-envkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
