"""Options of a trainer in groups, each under a heading of its own in ``--help``.

A configuration is flat, in files as on the command line. tyro has headings for nested dataclasses
only: so each group is parsed as a part of its own, and the values are put together again.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, TypeVar

from mario_agents.commands.parsing import CommandLine, Part, part_of, values_of
from mario_agents.config import make_config, to_plain
from mario_agents.config.groups import OptionGroup

C = TypeVar("C")


def grouped_command_line(
    start: type[Any], default: C, *, name: str, summary: str
) -> CommandLine[C]:
    """What training takes; its words become a trainer's configuration.

    Values that are not valid are a ConfigError.

    Args:
        start: options that are about the run and not part of its configuration; they are listed
            first, and their values are not returned.
        default: what holds where the words say nothing.
        name: of the trainer, which heads the options that are its own.
        summary: describes the trainer.
    """
    config_class, values = type(default), values_of(default)
    parts = [Part("start", part_of(start))]
    for heading, description, names in _groups(config_class, name):
        part = part_of(config_class, names, description)
        parts.append(Part(heading, part, part(**{name: values[name] for name in names})))

    def build(_: Any, *given: Any) -> C:
        options = {key: value for part in given for key, value in to_plain(part).items()}
        return make_config(config_class, options, source="command line")

    return CommandLine(f"train {name}", summary, tuple(parts), build)


def _groups(config_class: type[Any], own: str) -> list[tuple[str, str, list[str]]]:
    """Heading, description and fields of each group; ``own`` heads fields that are in no group."""
    groups: dict[type[OptionGroup] | None, list[str]] = {}
    for field in dataclasses.fields(config_class):
        groups.setdefault(_group_of(field.name, config_class), []).append(field.name)
    rest = groups.pop(None, [])
    return [
        *((group.HEADING, group.__doc__ or "", names) for group, names in groups.items() if group),
        (own, "What only this trainer has.", rest),
    ]


def _group_of(name: str, config_class: type[Any]) -> type[OptionGroup] | None:
    """The group whose class declares a field first; subclasses may change its default."""
    for kind in reversed(config_class.__mro__):
        if name in inspect.get_annotations(kind):
            return kind if "HEADING" in kind.__dict__ else None
    return None
