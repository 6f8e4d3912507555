"""A hook of MkDocs: what the reference says of commands, options and memory is from the code.

A comment in a page is replaced:

* ``<!-- options: mario-agents eval -->``: the options of a command;
* ``<!-- options of every trainer -->``: those that several trainers have, in groups, with the
  default of each trainer where they differ;
* ``<!-- options of trainer: ppo -->``: those that only this one has;
* ``<!-- memory map -->``: the addresses of the game's work RAM that are read.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

HOOKS = Path(__file__).parent
COMMENT = re.compile(r"<!-- (options|options of trainer|options of every trainer|memory map)"
                     r"(?:: (.*?))? -->")  # fmt: skip
ADDRESS = re.compile(r"^_?([A-Z][A-Z_]+)(?:, _?[A-Z_]+)* = (0x[0-9A-F]{4}.*?|range\(.*?\))"
                     r"(?:  # (.*))?$", re.MULTILINE)  # fmt: skip
MAPS = ("mario_envkit/game/ram.py", "mario_envkit/game/tiles.py")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Replace the comments."""
    return COMMENT.sub(lambda match: _text_for(match[1], match[2] or ""), markdown)


def _text_for(what: str, name: str) -> str:
    if what == "memory map":
        return memory_map()
    if what == "options of every trainer":
        return "\n\n".join(_common())
    if what == "options of trainer":
        (group,) = (group for group in _trained()[name].groups if group.heading == name)
        return _table(group.options)
    return command_text(name)


@cache
def _catalogue() -> Any:
    """The module beside this one; hooks are files, and no package."""
    spec = importlib.util.spec_from_file_location("catalogue", HOOKS / "catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def _trained() -> dict[str, Any]:
    """``train`` of each trainer of ours."""
    catalogue = _catalogue()
    return {name: catalogue.agents_command("train", name) for name in catalogue.own_trainers()}


def command_text(name: str) -> str:
    """Description and options of ``mario-envkit NAME`` or ``mario-agents NAME``."""
    program, *words = name.split()
    catalogue = _catalogue()
    if program == "mario-envkit":
        (command,) = (each for each in catalogue.kit_commands() if each.name == name)
    else:
        command = catalogue.agents_command(words[0])
    parts = [_paragraphs(command.description)]
    for group in command.groups:
        if group.heading:
            parts.append(f"**{group.heading.capitalize()}.** {' '.join(group.description.split())}")
        if group.options:
            parts.append(_table(group.options))
    return "\n\n".join(parts)


def _paragraphs(text: str) -> str:
    """A docstring's paragraphs, examples of commands as code."""
    shown = []
    for paragraph in text.split("\n\n"):
        words = " ".join(paragraph.split()).replace("\\ --", "--")
        is_command = words.startswith(("mario-agents ", "mario-envkit "))
        shown.append(f"```text\n{words}\n```" if is_command else _escaped(words))
    return "\n\n".join(shown)


def _common() -> list[str]:
    """The groups that several trainers have, one table each."""
    trained = _trained()
    counts = Counter(group.heading for command in trained.values() for group in command.groups)
    parts = []
    for heading, count in counts.items():
        if count == 1:
            continue
        groups = {name: group for name, command in trained.items()
                  for group in command.groups if group.heading == heading}  # fmt: skip
        first = next(iter(groups.values()))
        only = "" if count == len(trained) else f" Of {', '.join(sorted(groups))}."
        parts += [f"## {heading.capitalize()}", _escaped(first.description) + only]
        parts.append(_table([_of_all(option.flags, groups) for option in first.options]))
    return parts


def _of_all(flags: tuple[str, ...], groups: dict[str, Any]) -> Any:
    """An option with the default of each trainer: the usual one, and the exceptions."""
    found = {name: option for name, group in groups.items() for option in group.options
             if option.flags == flags}  # fmt: skip
    defaults = {name: option.default for name, option in found.items()}
    ((usual, _),) = Counter(defaults.values()).most_common(1)
    others = [f"{name} {value}" for name, value in defaults.items() if value != usual]
    option = next(iter(found.values()))
    shown = "; ".join([usual or "none", *others]) if others else usual
    return type(option)(option.flags, option.values, shown, option.help)


def _table(options: Any) -> str:
    rows = ["| option | default | |", "|---|---|---|"]
    for option in options:
        names = ", ".join(f"`{flag}`" for flag in option.flags)
        values = _escaped(option.values)
        name = f"{names} {values}".strip() if names else f"`{option.values}`"
        rows.append(f"| {name} | {_escaped(option.default)} | {_escaped(option.help)} |")
    return "\n".join(rows)


def _escaped(text: str) -> str:
    """Plain text as Markdown, also in a table."""
    text = re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"`\1`", " ".join(text.split()))
    parts = text.split("`")
    plain = [re.sub(r"([*_<>\[\]|])", r"\\\1", part) for part in parts[::2]]
    parts[::2] = plain
    return "`".join(parts)


def memory_map() -> str:
    """A table of the addresses that the code names, by address."""
    found: dict[str, tuple[str, str]] = {}
    for name in MAPS:
        text = (HOOKS.parents[1] / name).read_text(encoding="utf-8")
        for label, address, note in ADDRESS.findall(text):
            numbers = [int(number, 16) for number in re.findall(r"0x([0-9A-F]{4})", address)]
            is_range = address.startswith("range")
            last = f" to {numbers[1] - 1:04X}" if is_range else ""
            found.setdefault(f"{numbers[0]:04X}{last}", (label, note))
    rows = ["| address | name here | name in the disassembly, and values |", "|---|---|---|"]
    rows += [f"| `{place}` | `{label}` | {_escaped(note)} |"
             for place, (label, note) in sorted(found.items())]  # fmt: skip
    return "\n".join(rows)
