"""Command lines of documents: into words, and through the parsers of our commands."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from mario_agents.commands import train
from mario_agents.commands.table import COMMANDS, command_line, dispatch
from mario_envkit.cli import argument_parser
from mario_envkit.plugins import load_trainer

PROGRAMS = ("mario-agents", "mario-envkit")
READERS_TRAINERS = ("climber", "cue", "my_trainer", "reinforce")
"""Names that documents give to a trainer of the reader's own: parsed as one of ours is."""
_ENDS = {"&&", "||", ";", "|", "&", "(", ")", ">", "<", "2>&1", "|&", ">>", "2>"}


def commands(text: str) -> list[list[str]]:
    """The commands of a block of bash, without variables that are set before them."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.wordchars += ":@%+,[]{}$!^"
        for word in [*lexer, ";"]:
            if word in _ENDS:
                found += [words] if words else []
                words = []
            elif words or not re.fullmatch(r"\w+=.*|nohup|sudo|time|\$|export", word):
                words.append(word)
    return found


def ours(words: Sequence[str]) -> list[str] | None:
    """The command of ours that a command line runs; None for those of others."""
    if words[0] in PROGRAMS or words[0].endswith(tuple(f"bin/{name}" for name in PROGRAMS)):
        return [Path(words[0]).name, *words[1:]]
    if words[:2] == ["python", "-m"] and words[2:]:
        name = words[2].removesuffix(".cli").replace("_", "-")
        return [name, *words[3:]] if name in PROGRAMS else None
    return None


def check(words: Sequence[str]) -> None:
    """Parse a command of ours with the parser that it has.

    Raises:
        AssertionError: if the parser does not take the words.
    """
    program, *rest = words
    if "--help" in rest:
        rest = rest[: rest.index("--help") + 1]
    if rest[:1] == ["train"] and rest[1:] and rest[1] in READERS_TRAINERS:
        rest[1] = "ppo"
    try:
        if program == "mario-envkit":
            argument_parser().parse_args(rest)
        elif rest[:1] == ["train"] and rest[1:] not in ([], ["--help"]):
            _check_train(rest[1:])
        elif rest and rest[0] in COMMANDS:
            line = command_line(rest[0])
            named = line.name.split()
            assert rest[: len(named)] == named, f"it is mario-agents {line.name}"
            line.parse(rest[len(named) :])
        else:
            dispatch(rest)
    except SystemExit as stop:
        if stop.code:
            raise AssertionError(f"{shlex.join(words)}: the parser does not take this") from None


def _check_train(words: Sequence[str]) -> None:
    """Make the configuration that ``mario-agents train`` would.

    A run to go on with and a file of options need not be there.
    """
    name, rest = ("ppo", words) if words[0].startswith("-") else (words[0], words[1:])
    known = train.start_options(rest)
    if known.preset is not None and _is_missing(Path(known.preset)):
        known = dataclasses.replace(known, preset=None)
    if known.config is not None and _is_missing(known.config):
        known = dataclasses.replace(known, config=None)
    train.configuration(name, load_trainer(name), {}, rest, known)


def _is_missing(file: Path) -> bool:
    return file.suffix in (".yaml", ".json") and not file.exists()
