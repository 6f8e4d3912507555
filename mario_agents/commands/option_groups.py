"""Options of a trainer in groups, each under a heading of its own in ``--help``.

A configuration is flat, in files as on the command line. tyro has headings for nested dataclasses
only: so each group is parsed as a part of its own, and the values are put together again.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import tyro

from mario_agents.commands.parsing import REGISTRY, part_of, values_of
from mario_agents.config import make_config, to_plain
from mario_agents.config.groups import OptionGroup

C = TypeVar("C")


def parse_grouped(
    start: type[Any], default: C, words: Sequence[str], *, name: str, summary: str
) -> C:
    """A trainer's configuration from the words of a command line.

    Args:
        start: options that are about the run and not part of its configuration; they are listed
            first, and their values are not returned.
        default: what holds where the words say nothing.
        words: of the command line.
        name: of the trainer, which heads the options that are its own.
        summary: describes the trainer.

    Raises:
        ConfigError: for values that are not valid.
        SystemExit: for malformed words, or after ``--help``.
    """
    config_class, values = type(default), values_of(default)
    first = part_of(start)
    parts, defaults = [("start", first)], [first()]
    for heading, description, names in _groups(config_class, name):
        part = part_of(config_class, names, description)
        parts.append((heading, part))
        defaults.append(part(**{name: values[name] for name in names}))
    command = dataclasses.make_dataclass(
        "Command",
        [
            (f"part_{number}", Annotated[part, tyro.conf.arg(name=heading)])
            for number, (heading, part) in enumerate(parts)
        ],
    )
    parsed = tyro.cli(
        command,
        prog=f"mario-agents train {name}",
        description=summary,
        args=words,
        default=command(*defaults),
        config=(tyro.conf.OmitArgPrefixes,),
        registry=REGISTRY,
    )
    _, *given = values_of(parsed).values()
    return make_config(
        config_class,
        {key: value for part in given for key, value in to_plain(part).items()},
        source="command line",
    )


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
