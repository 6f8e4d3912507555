"""Named sets of joypad actions, those of gym-super-mario-bros under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mario_envkit.arguments import as_sequence, most_similar, plain, shown, whole_number
from mario_envkit.emulator.buttons import Buttons
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
    for name in as_sequence("buttons", names, "a list of them, such as ['right', 'A']"):
        try:
            byte |= Buttons[name.upper()]
        except (KeyError, AttributeError):
            raise OptionError(
                f"There is no button {shown(name)}; a joypad has "
                f"{', '.join(str(button.name) for button in Buttons)} (and NOOP for none)."
            ) from None
    return int(byte)


def describe(byte: int) -> str:
    """A joypad byte in words, like "A+RIGHT"; "NOOP" for none."""
    return "+".join(str(button.name) for button in Buttons if byte & button) or "NOOP"


def plain_actions(actions: Any) -> str | list[list[str]]:
    """The name of an action set ("raw" is one), or lists of buttons, as plain values.

    Raises:
        OptionError: for an unknown name, an unknown button, or an empty set.
    """
    actions = plain(actions)
    if isinstance(actions, str):
        if actions in ACTION_SETS or actions == "raw":
            return str(actions)
        combinations = _combinations(actions)
    else:
        combinations = [
            list(as_sequence("buttons", names, "a list of them, such as ['right', 'A']"))
            for names in as_sequence("actions", actions, "a name or lists of buttons")
        ]
    if not combinations:
        raise OptionError("actions=[] leaves nothing to do; give at least one combination.")
    for names in combinations:
        joypad_byte(names)
    return [[str(name) for name in names] for names in combinations]


def _combinations(text: str) -> list[list[str]]:
    """The lists of buttons in a text like "right+A,left,noop".

    Raises:
        OptionError: if a word of it is no button.
    """
    combinations = [[name.strip() for name in word.split("+")] for word in text.split(",")]
    if all(name.upper() in Buttons.__members__ for names in combinations for name in names):
        return combinations
    there = [*ACTION_SETS, "raw"]
    close = most_similar(text, there)
    hint = f"did you mean {close!r}? There are" if close else "choose one of"
    raise OptionError(
        f"actions={shown(text)} does not exist; {hint} {', '.join(there)} (the 256 joypad bytes), "
        "or combinations of buttons such as 'right+A,left,noop'."
    )


def actions_text(actions: Any) -> str:
    """:func:`plain_actions` as a text, for files and command lines: "right+A,left,NOOP"."""
    chosen = plain_actions(actions)
    if isinstance(chosen, str):
        return chosen
    return ",".join("+".join(names) or "NOOP" for names in chosen)


def resolve_actions(actions: str | Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Joypad bytes of "right_only", "simple", "complex", "raw", a text like "right+A,left,noop", or
    lists of buttons.

    Raises:
        OptionError: for an unknown name, an unknown button, or an empty set.
    """
    chosen = plain_actions(actions)
    if chosen == "raw":
        return tuple(range(256))
    combinations = ACTION_SETS[chosen] if isinstance(chosen, str) else chosen
    return tuple(joypad_byte(names) for names in combinations)


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
            f"The action {shown(action)} is not possible; give an integer from 0 to {count - 1}."
        )
    return index
