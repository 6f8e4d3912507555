"""Every command and every option of ours, read from what the command line itself is made of.

``mario-agents`` has a ``CommandLine`` for each command, and ``mario-envkit`` a parser of argparse.
Nothing is parsed, and no command runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tyro.conf import FlagCreatePairsOff, Positional

from mario_agents.commands.table import COMMANDS, command_line
from mario_envkit.cli import argument_parser
from mario_envkit.plugins import available_trainers


@dataclasses.dataclass(frozen=True)
class Option:
    """An option, or a word without a name.

    Attributes:
        flags: ``--name``, of a switch also ``--no-name``; empty for a word without a name.
        values: what may follow, for people.
        default: its default, for people, or "" if there is none.
        help: what it does.
    """

    flags: tuple[str, ...]
    values: str
    default: str
    help: str


@dataclasses.dataclass(frozen=True)
class Group:
    """Options under one heading."""

    heading: str
    description: str
    options: tuple[Option, ...]


@dataclasses.dataclass(frozen=True)
class Command:
    """A command, such as ``mario-agents eval``."""

    name: str
    description: str
    groups: tuple[Group, ...]


def all_commands() -> list[Command]:
    """Every command of both programs, ``train`` once for each trainer of ours."""
    found = list(kit_commands())
    for name in COMMANDS:
        if name == "train":
            found += [agents_command("train", trainer) for trainer in own_trainers()]
        else:
            found.append(agents_command(name))
    return found


def own_trainers() -> list[str]:
    """Names of the trainers that this distribution has, in alphabetical order."""
    entries = available_trainers()
    return sorted(entry.name for entry in entries if entry.target.startswith("mario_agents.algos"))


def agents_command(name: str, trainer: str = "ppo") -> Command:
    """A command of ``mario-agents``; ``train`` with the options of a trainer."""
    line = command_line(name, trainer)
    groups = (
        Group(
            part.heading,
            _text(part.options.__doc__) if part.heading else "",
            tuple(_options(part.options, part.defaults)),
        )
        for part in line.parts
    )
    return Command(f"mario-agents {line.name}", _text(line.description), tuple(groups))


def _options(part: Any, values: Any) -> Iterator[Option]:
    hints = get_type_hints(part, include_extras=True)
    for field in dataclasses.fields(part):
        kind = hints[field.name]
        default = getattr(values, field.name) if values is not None else _default(field)
        name = field.name.replace("_", "-")
        flags: tuple[str, ...] = (f"--{name}",)
        marks = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
        if _is(kind, Positional):
            flags = ()
        elif _plain(kind) is bool and not _is(kind, FlagCreatePairsOff):
            flags = (f"--{name}", f"--no-{name}")
        metavar = next((mark.metavar for mark in marks if getattr(mark, "metavar", None)), "")
        text = "" if default is dataclasses.MISSING else _shown(default)
        values_text = metavar or _values(_plain(kind))
        yield Option(flags, values_text, text, field.metadata.get("help") or "")


def _default(field: Any) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _is(kind: Any, mark: Any) -> bool:
    """Whether a type carries a mark of tyro's, at whatever depth."""
    (wanted,) = get_args(mark[int])[1:]
    return get_origin(kind) is Annotated and any(part == wanted for part in (*get_args(kind)[1:],))


def _plain(kind: Any) -> Any:
    return _plain(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def _values(kind: Any) -> str:
    """``number``, ``small or large``, ``text ...``: what may be given for a type."""
    kind = _plain(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(str(part) for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(filter(None, map(_values, parts))))
    if origin in (tuple, list):
        kinds = [part for part in parts if part is not Ellipsis]
        return " ".join(_values(part) for part in kinds) + (" ..." if Ellipsis in parts else "")
    if origin is dict:
        return "name=text ..." if parts[1] is str else "name=number ..."
    if kind is bool:
        return ""
    names = {int: "whole number", float: "number", str: "text", Path: "path", type(None): "None"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _shown(value: Any) -> str:
    """A default as it would be typed."""
    if isinstance(value, (tuple, list)):
        return " ".join(map(_shown, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={_shown(number)}" for key, number in value.items())
    return str(value)


def kit_commands() -> Iterator[Command]:
    """The commands of ``mario-envkit``."""
    (subparsers,) = (
        action
        for action in argument_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    for name, parser in subparsers.choices.items():
        options = [_of_argparse(action) for action in parser._actions if action.dest != "help"]
        yield Command(
            f"mario-envkit {name}",
            " ".join(filter(None, (parser.description, parser.epilog))),
            (Group("", "", tuple(options)),),
        )


def _of_argparse(action: argparse.Action) -> Option:
    has_default = action.default is not None and action.default is not False
    help_text = action.help or ""
    if has_default:  # it has a column of its own
        help_text = re.sub(r" \(default [^()]*\)", "", help_text)
    return Option(
        tuple(action.option_strings),
        "" if action.nargs == 0 else str(action.metavar or _argparse_type(action)),
        str(action.default) if has_default else "",
        help_text,
    )


def _argparse_type(action: argparse.Action) -> str:
    if action.type is Path:
        return "path"
    if action.type is float:
        return "number"
    return "text" if action.type is None else "whole number"


def _text(text: str | None) -> str:
    return "\n".join(line.strip() for line in (text or "").splitlines()).strip()
