"""What is searched: words such as ``lr=1e-5..1e-3:log`` and ``network=small,nature``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from mario_agents.config import make_value, numbers_of, parse_value
from mario_agents.experiments.options import PER_RUN, split_word
from mario_envkit.errors import ConfigError, OptionError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Number: TypeAlias = int | float
_RANGE = re.compile(r"(.+?)\.\.(.+?)((?::[a-z]+(?:=[^:]*)?)*)")
_EXAMPLES = "lr=1e-5..1e-3:log, num_envs=16..64:step=16 or network=small,nature"


class Range(Struct, frozen=True, tag="range"):
    """An option whose values are numbers from ``low`` to ``high``, both included.

    Attributes:
        name: of the option.
        log: whether each factor, and not each difference, is as likely as any other.
        step: between two values; None for any value (of whole numbers: 1).
        whole: whether the values are whole numbers.
    """

    name: str
    low: Number
    high: Number
    log: bool = False
    step: Number | None = None
    whole: bool = False

    @property
    def word(self) -> str:
        """As a person types it."""
        step = "" if self.step is None else f":step={self.step!r}"
        return f"{self.name}={self.low!r}..{self.high!r}{':log' if self.log else ''}{step}"

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            step = 1 if self.step is None else int(self.step)
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def value(self, parameter: Any) -> Any:
        """Of the option, for what Optuna calls it."""
        return parameter

    def parameter(self, value: Any) -> Any:
        """What Optuna calls a value.

        Raises:
            ValueError: if it is not in the range.
        """
        if not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            raise ValueError(f"{value!r} is not in {self.word}")
        if self.step is not None and _remainder(self.low, value, self.step):
            raise ValueError(f"{value!r} is between two steps of {self.word}")
        return int(value) if self.whole else float(value)


class Choices(Struct, frozen=True, tag="choices"):
    """An option that has one of some values, in the order in which they were typed."""

    name: str
    values: tuple[Any, ...]

    @property
    def word(self) -> str:
        """As a person types it."""
        return f"{self.name}={','.join(map(value_text, self.values))}"

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([_stored(value) for value in self.values])

    def value(self, parameter: Any) -> Any:
        """Of the option, for what Optuna calls it."""
        return next(value for value in self.values if _same(_stored(value), parameter))

    def parameter(self, value: Any) -> Any:
        """What Optuna calls a value.

        Raises:
            ValueError: if it is none of the choices.
        """
        if not any(_same(value, one) for one in self.values):
            raise ValueError(f"{value!r} is not in {self.word}")
        return _stored(value)


Searched: TypeAlias = Range | Choices


class Space(Struct, frozen=True):
    """All that is searched, in the order in which it was typed."""

    options: tuple[Searched, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """As a person types them; :func:`parse_space` makes the same space of them again."""
        return tuple(option.word for option in self.options)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the options."""
        return tuple(option.name for option in self.options)

    def distributions(self) -> dict[str, BaseDistribution]:
        """The same for Optuna, by the name of the option."""
        return {option.name: option.distribution() for option in self.options}

    def values(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the options, for a trial's parameters."""
        return {option.name: option.value(parameters[option.name]) for option in self.options}

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A trial's parameters, for values of the options.

        Raises:
            ValueError: if one of them is not in the space.
        """
        return {option.name: option.parameter(values.get(option.name)) for option in self.options}


def parse_space(words: Sequence[str], config_class: type[Any]) -> Space:
    """A space from words; every end of a range and every choice is checked by the trainer.

    Args:
        words: those of ``--search``.
        config_class: the trainer's configuration.

    Raises:
        OptionError: if a word makes no sense.
        ConfigError: for an option that there is not, or a value that it does not take.
    """
    options: dict[str, Searched] = {}
    for word in words:
        name, text = split_word(word, f"--search takes words such as {_EXAMPLES}, not {word!r}.")
        if name in PER_RUN:
            raise OptionError(
                f"--search {word}: that is decided for each trial; give it by the sweep's own "
                "options --seed, --minutes and --steps."
            )
        if name in options:
            raise OptionError(f"--search has {name} twice; name it once.")
        options[name] = _parse(name, text, word, config_class)
    if not options:
        raise OptionError(f"Name at least one option to search, with --search {_EXAMPLES}.")
    return Space(tuple(options.values()))


def _parse(name: str, text: str, word: str, config_class: type[Any]) -> Searched:
    source = f"--search {word}"
    match = _RANGE.fullmatch(text.strip())
    ends = [_number(end) for end in match.groups()[:2]] if match else []
    if match and None not in ends:
        # An option that there is not is told of before anything else that is wrong.
        low, high = (make_value(config_class, name, end, source=source) for end in ends)
        numbers = numbers_of(config_class, name)
        if numbers is None or isinstance(low, bool):
            raise OptionError(f"{source}: {name} takes no numbers; list its values with commas.")
        if numbers is float:
            low, high = float(low), float(high)
        log, step = _marks(match[3], source, whole=numbers is int)
        return _range(Range(name, low, high, log, step, numbers is int), source)
    known = name in {field.name for field in fields(config_class)}
    if match and "," not in text and known and numbers_of(config_class, name) is not None:
        raise OptionError(
            f"{source}: a range has a number at both ends, and may end in :log or :step=K, such as "
            f"{name}=1..4."
        )
    return _choices(name, text, source, config_class)


def _choices(name: str, text: str, source: str, config_class: type[Any]) -> Choices:
    parsed = parse_value(f"[{text}]")
    values: list[Any] = []
    for value in parsed if isinstance(parsed, list) else [parsed]:
        plain = _plain(make_value(config_class, name, _none(value), source=source))
        if any(_same(plain, one) for one in values):
            raise OptionError(f"{source}: {value_text(plain)} is there twice; name it once.")
        values.append(plain)
    if len(values) < 2:
        raise OptionError(
            f"{source}: one value is nothing to search; give a range such as 0.001..0.05, several "
            f"values with commas, or --set {name}=VALUE."
        )
    return Choices(name, tuple(values))


def _range(option: Range, source: str) -> Range:
    """The range, if it makes sense, with an end that a step leads to.

    Raises:
        OptionError: if not.
    """
    low, high, step = option.low, option.high, option.step
    if low >= high:
        hint = "swap its ends" if low > high else f"give --set {option.name}={low!r}"
        raise OptionError(f"{source}: the range from {low!r} to {high!r} is empty; {hint}.")
    if option.log and low <= 0:
        raise OptionError(
            f"{source}: a range with :log must begin above 0, not at {low!r}; leave out :log, or "
            "begin at a small number."
        )
    if option.log and step is not None:
        raise OptionError(f"{source}: :log and :step do not go together; leave one out.")
    if step is not None:
        if Decimal(repr(step)) > Decimal(repr(high)) - Decimal(repr(low)):
            raise OptionError(
                f"{source}: the step {step!r} is longer than the range; give a shorter one."
            )
        rest = _remainder(low, high, step)
        high = type(high)(Decimal(repr(high)) - rest)
    return Range(option.name, low, high, option.log, step, option.whole)


def _marks(text: str, source: str, *, whole: bool) -> tuple[bool, Number | None]:
    """What follows a range: ``:log`` and ``:step=K``."""
    log, step = False, None
    for mark in filter(None, text.split(":")):
        name, equals, value = mark.partition("=")
        number = _number(value)
        if mark == "log":
            log = True
        elif name == "step" and equals and number is not None and number > 0:
            if whole and number != int(number):
                raise OptionError(f"{source}: the option takes whole numbers, and so must :step.")
            step = int(number) if whole else float(number)
        else:
            raise OptionError(
                f"{source}: a range may end in :log or :step=K with K above 0, not in :{mark}."
            )
    return log, step


def value_text(value: Any) -> str:
    """A value as a person types it."""
    if value is None:
        return "None"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not set(value) & set(",[]{}"):
        try:
            if parse_value(f"[{value}]") == [value] and _none(value) == value:
                return value
        except ConfigError:  # a name that only quotes make one value of
            pass
    return json.dumps(value)


def params_text(values: Mapping[str, Any]) -> str:
    """Options with their values, for people: numbers are rounded."""
    return ", ".join(f"{name} {rounded(value)}" for name, value in values.items())


def rounded(value: Any) -> str:
    """A value for people: a number that is not whole has three digits."""
    return f"{value:.3g}" if isinstance(value, float) else value_text(value)


def _number(text: str) -> Number | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(text) if re.fullmatch(r"[-+]?\d+", text.strip()) else number


def _remainder(low: Number, value: Number, step: Number) -> Decimal:
    """What is left between ``value`` and the last step before it."""
    return (Decimal(repr(value)) - Decimal(repr(low))) % Decimal(repr(step))


def _none(value: Any) -> Any:
    """``None`` as Python and the command line write it; YAML has ``null``."""
    return None if value == "None" else value


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _stored(value: Any) -> Any:
    """Optuna keeps numbers, words, true, false and None; anything else as a text."""
    return json.dumps(value) if isinstance(value, list) else value


def _same(one: Any, other: Any) -> bool:
    """Equal, where true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
