"""Named sets of joypad actions, those of gym-super-mario-bros under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mario_envkit.emulator.buttons import Buttons, whole_number
from mario_envkit.errors import OptionError

RIGHT_ONLY = [["NOOP"], ["right"], ["right", "A"], ["right", "B"], ["right", "A", "B"]]
"""Run and jump to the right."""

SIMPLE_MOVEMENT = [*RIGHT_ONLY, ["A"], ["left"]]
"""RIGHT_ONLY, jumping on the spot, and walking back."""

COMPLEX_MOVEMENT = [
    *SIMPLE_MOVEMENT,
    ["left", "A"],
    ["left", "B"],
    ["left", "A", "B"],
    ["down"],
    ["up"],
]
"""SIMPLE_MOVEMENT, running back, pipes and vines."""

ACTION_SETS = {"right_only": RIGHT_ONLY, "simple": SIMPLE_MOVEMENT, "complex": COMPLEX_MOVEMENT}


def joypad_byte(names: Sequence[str]) -> int:
    """The joypad byte that holds these buttons ("A", "B", "right"...; "NOOP" is none).

    Raises:
        OptionError: for a button that a joypad does not have.
    """
    byte = Buttons.NOOP
    for name in names:
        try:
            byte |= Buttons[name.upper()]
        except (KeyError, AttributeError):
            raise OptionError(
                f"There is no button {name!r}; a joypad has "
                f"{', '.join(str(button.name) for button in Buttons)} (and NOOP for none)."
            ) from None
    return int(byte)


def describe(byte: int) -> str:
    """A joypad byte in words, like "A+RIGHT"; "NOOP" for none."""
    return "+".join(str(button.name) for button in Buttons if byte & button) or "NOOP"


def resolve_actions(actions: str | Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Joypad bytes of an action set: "right_only", "simple", "complex", or lists of buttons.

    Raises:
        OptionError: for an unknown name, an unknown button, or an empty set.
    """
    if isinstance(actions, str):
        if actions not in ACTION_SETS:
            raise OptionError(
                f"actions={actions!r} does not exist; choose one of {', '.join(ACTION_SETS)}, "
                "'raw' (the 256 joypad bytes), or give a list such as [['right', 'A'], ['left']]."
            )
        actions = ACTION_SETS[actions]
    if not len(actions):
        raise OptionError("actions=[] leaves nothing to do; give at least one combination.")
    return tuple(joypad_byte(names) for names in actions)


def check_action(action: Any, count: int) -> int:
    """``action`` as an int.

    Args:
        action: an integer, Python's or NumPy's, or an integer array without axes.
        count: how many actions there are.

    Raises:
        OptionError: if it is not an integer from 0 to ``count - 1``.
    """
    index = action if type(action) is int else whole_number(action)
    if index is None or not 0 <= index < count:
        raise OptionError(
            f"The action {action!r} is not possible; give an integer from 0 to {count - 1}."
        )
    return index
