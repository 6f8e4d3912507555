"""Command lines of documents: into words, and through the parsers of our commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tyro

PROGRAMS = ("mario-agents", "mario-envkit")
READERS_TRAINERS = ("cue", "my_trainer", "reinforce")
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


class Parsed(Exception):
    """The words of a command went through its parser; what would come next does not happen."""


@contextmanager
def stopped_after_parsing() -> Iterator[None]:
    """``mario-agents`` ends with :class:`Parsed` where its options have been read."""
    from mario_agents.commands import train

    parse: Callable[..., Any] = tyro.cli

    def parsing(*args: Any, **kwargs: Any) -> Any:
        parsed = parse(*args, **kwargs)
        if kwargs.get("prog", "x train").split()[1] == "train":  # there is more to come
            return parsed
        raise Parsed

    def checked(*args: Any) -> None:
        raise Parsed

    def of_file(read: Callable[..., Any], nothing: Any) -> Callable[..., Any]:
        def reading(*args: Any) -> Any:
            is_file = str(args[-1]).endswith((".yaml", ".json"))
            return nothing if is_file and not Path(args[-1]).exists() else read(*args)

        return reading

    def stored_run(name: str | None, path: Path, words: Sequence[str], known: Any) -> Any:
        return train._new_run(name or "ppo", words, known)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tyro, "cli", parsing)
        patch.setattr(train, "_forks", lambda words: False)
        patch.setattr(train, "check_surroundings", checked)
        # What a document names need not be there: a run to go on with, a file of options.
        patch.setattr(train, "_stored_run", stored_run)
        patch.setattr(train, "preset_for", of_file(train.preset_for, SimpleNamespace(options={})))
        patch.setattr(train, "read_options", of_file(train.read_options, {}))
        yield


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
            from mario_envkit.cli import _parser

            _parser().parse_args(rest)
            return
        from mario_agents.commands.table import dispatch

        with stopped_after_parsing():
            dispatch(rest)
    except Parsed:
        return
    except SystemExit as stop:
        if not stop.code:
            return
        raise AssertionError(f"{shlex.join(words)}: the parser does not take this") from None
    raise AssertionError(f"{shlex.join(words)}: its options were not parsed")
