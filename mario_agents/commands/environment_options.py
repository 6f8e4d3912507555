"""Options of an environment on the command line, for agents that come without a configuration.

They are the game's options of ``mario-agents train``; here each is left to the agent, or to
``MarioTrain-v0``, unless it is given.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from tyro.conf import FlagCreatePairsOff

from mario_agents.commands.parsing import CommandLine, Part, part_of, values_of
from mario_agents.config.groups import GameOptions

T = TypeVar("T")

_DESCRIPTION = """The environment of an agent that comes without a configuration (--agent, --sb3):
what is not given is as the agent's env_kwargs have it, or else as gymnasium.make("MarioTrain-v0")
does: 84 x 84 grey pixels, four of them stacked."""
_TAKEN = (
    "game", "observation", "frame_skip", "frame_stack", "screen_size", "palette", "crop_top",
    "actions", "show_buttons", "show_level", "stall_limit", "blank_probability", "reward",
    "reward_weights", "rom", "rom_unknown",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class _KitOptions:
    """What the kit's environments take and trainers have no use for."""

    rgb: FlagCreatePairsOff[bool] = False
    """Pixels in colour, (..., height, width, 3), instead of grey ones."""
    max_pool: FlagCreatePairsOff[bool] = False
    """Of each pixel the larger value of an action's last two frames."""


def command_line_with_environment(
    name: str, options: type[T]
) -> CommandLine[tuple[T, dict[str, Any]]]:
    """What a command takes that has options of its own and those of an environment.

    Its words become the options, and keyword arguments of ``MarioTrain-v0``: only those given.

    Args:
        name: of the command, such as ``eval``.
        options: a dataclass; its docstring describes the command, and what it inherits is about the
            agent.
    """
    whole: Any = options
    about = [field.name for field in dataclasses.fields(whole.__mro__[1])]
    rest = [field.name for field in dataclasses.fields(whole) if field.name not in about]
    parts = (
        Part("agent", part_of(options, about, "")),
        Part("measuring", part_of(options, rest, "")),
        Part("environment", _environment()),
    )

    def build(agent: Any, measuring: Any, given: Any) -> tuple[T, dict[str, Any]]:
        return options(**values_of(agent), **values_of(measuring)), _given(values_of(given))

    return CommandLine(name, options.__doc__ or "", parts, build)


def _environment() -> type[Any]:
    """The options as a dataclass, in which what is not given is None, False or empty."""
    kinds = get_type_hints(GameOptions, include_extras=True)
    game = dataclasses.fields(part_of(GameOptions, _TAKEN))
    kit = dataclasses.fields(part_of(_KitOptions))
    made = dataclasses.make_dataclass(
        "Environment",
        [
            *((field.name, *_unless_given(kinds[field.name], field)) for field in game),
            *((field.name, field.type, field) for field in kit),
        ],
        frozen=True,
        kw_only=True,
    )
    made.__doc__ = " ".join(_DESCRIPTION.split())
    return made


def _unless_given(kind: Any, field: dataclasses.Field[Any]) -> tuple[Any, Any]:
    """Type and default of an option that may be left out."""
    if field.default is dataclasses.MISSING:  # a dictionary
        return kind, dataclasses.field(default_factory=dict, metadata=field.metadata)
    if kind is bool:
        return FlagCreatePairsOff[bool], dataclasses.field(default=False, metadata=field.metadata)
    return kind | None, dataclasses.field(default=None, metadata=field.metadata)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    given = {
        name: value
        for name, value in values.items()
        if not (value is None or value is False or value == {})  # a crop may be 0
    }
    if given.pop("rgb", False):
        given["grayscale"] = False
    if "rom" in given:
        given["rom"] = str(Path(given["rom"]).absolute())
    return given
