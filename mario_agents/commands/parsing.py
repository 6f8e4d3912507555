"""Options from the words of a command line, by tyro; their help texts are strings under the fields.

Whole numbers may be written as ``1e6``. Help texts are joined to one paragraph, however their lines
are broken in the source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import (
    Annotated,
    Any,
    Generic,
    NoReturn,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import docstring_parser
import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from mario_envkit.arguments import read_whole_number

T = TypeVar("T")

REGISTRY = ConstructorRegistry()
"""For every call of tyro."""


@REGISTRY.primitive_rule
def _whole_numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
    if info.type is not int:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: read_whole_number(words[0]),
        is_instance=lambda value: type(value) is int,
        str_from_instance=lambda value: [str(value)],
    )


@REGISTRY.primitive_rule
def _weights(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[dict[str, float]] | None:
    """``death=25 stall=25`` for an option that is a dictionary of numbers."""
    if get_origin(info.type) is not dict or get_args(info.type)[1] is str:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=NUMBER ...",
        instance_from_str=lambda words: dict(map(_read_weight, words)),
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda value: [f"{name}={number!r}" for name, number in value.items()],
    )


@REGISTRY.primitive_rule
def _texts(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[dict[str, str]] | None:
    """``gamma=0.9:0.97`` for an option that is a dictionary of texts."""
    if get_origin(info.type) is not dict or get_args(info.type)[1] is not str:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=TEXT ...",
        instance_from_str=lambda words: dict(map(_read_text, words)),
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda value: [f"{name}={text}" for name, text in value.items()],
    )


def _read_text(word: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    if not (name and equals and text):
        raise ValueError(f"{word!r} is no NAME=START:END, such as gamma=0.9:0.97")
    return name, text


def _read_weight(word: str) -> tuple[str, float]:
    name, equals, number = word.partition("=")
    if not (name and equals):
        raise ValueError(f"{word!r} is no NAME=NUMBER, such as death=25")
    return name, float(number)


@dataclasses.dataclass(frozen=True)
class Part:
    """Options under one heading of ``--help``.

    Attributes:
        heading: empty if the command has no other part.
        options: a dataclass as :func:`part_of` makes it.
        defaults: an instance of it, where not those of its fields hold.
    """

    heading: str
    options: type[Any]
    defaults: Any = None


@dataclasses.dataclass(frozen=True)
class CommandLine(Generic[T]):
    """What a command takes. The command parses its words with it, and the documents list it.

    Attributes:
        name: of the command, such as ``eval`` or ``train ppo``.
        description: what it does.
        parts: its options, in the order of ``--help``.
        build: makes what the command works with, of an instance of each part's dataclass.
    """

    name: str
    description: str
    parts: tuple[Part, ...]
    build: Callable[..., T]

    def parse(self, words: Sequence[str]) -> T:
        """Read the words after the command's name.

        Raises:
            SystemExit: for malformed words, or after ``--help``.
            MarioEnvkitError: whatever ``build`` raises.
        """
        if len(self.parts) == 1:
            return self.build(self._read(self.parts[0].options, words))
        # tyro has headings for nested dataclasses only.
        fields = [
            (f"part_{number}", Annotated[part.options, tyro.conf.arg(name=part.heading)])
            for number, part in enumerate(self.parts)
        ]
        whole = dataclasses.make_dataclass("Command", fields)
        whole.__doc__ = self.description
        defaults = [part.defaults or part.options() for part in self.parts]
        parsed = self._read(
            whole, words, default=whole(*defaults), config=(tyro.conf.OmitArgPrefixes,)
        )
        return self.build(*values_of(parsed).values())

    def _read(self, options: type[Any], words: Sequence[str], **kwargs: Any) -> Any:
        return tyro.cli(
            options,
            prog=f"mario-agents {self.name}",
            args=words,
            registry=REGISTRY,
            **kwargs,
        )


def command_line(name: str, options: type[T], *, last: type[Any] | None = None) -> CommandLine[T]:
    """What a command takes whose options are the fields of one dataclass.

    Args:
        name: of the command, such as ``eval``.
        options: a dataclass; its docstring describes the command.
        last: a dataclass that ``options`` is derived from, whose fields ``--help`` lists after the
            others; by default what is inherited comes first.
    """
    whole: Any = options
    late = [field.name for field in dataclasses.fields(last)] if last else []
    names = [field.name for field in dataclasses.fields(whole) if field.name not in late]
    part = Part("", part_of(options, [*names, *late]))
    return CommandLine(
        name, options.__doc__ or "", (part,), lambda given: options(**values_of(given))
    )


def part_of(
    options: type[Any], names: Iterable[str] | None = None, description: str | None = None
) -> type[Any]:
    """A dataclass with all or some fields of another one: their types, defaults and help texts."""
    fields = {field.name: field for field in dataclasses.fields(options)}
    whole: Any = options  # to the type checker, classes are not hashable
    kinds, helps = get_type_hints(options, include_extras=True), _help_texts(whole)
    part = dataclasses.make_dataclass(
        options.__name__,
        [
            (
                name,
                kinds[name],
                dataclasses.field(
                    default=fields[name].default,
                    default_factory=fields[name].default_factory,
                    metadata={"help": helps.get(name)},
                ),
            )
            for name in (fields if names is None else names)
        ],
        frozen=True,
        kw_only=True,
    )
    part.__doc__ = options.__doc__ if description is None else description
    return part


def values_of(options: Any) -> dict[str, Any]:
    """The fields of a dataclass and their values."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


@cache  # each group of a trainer's options is a part of the same dataclass
def _help_texts(options: type[Any]) -> dict[str, str]:
    """The strings under the fields of a dataclass and of those it is derived from."""
    texts: dict[str, str] = {}
    for kind in reversed(options.__mro__):
        if dataclasses.is_dataclass(kind):
            for entry in docstring_parser.parse_from_object(kind).params:
                texts[entry.arg_name] = " ".join((entry.description or "").split())
    return texts


def show_choices(
    program: str, choices: Mapping[str, str], description: str, words: Sequence[str]
) -> NoReturn:
    """Help that lists what may come next, or what is wrong with the words.

    Args:
        program: what has been typed before, such as ``mario-agents train``.
        choices: a sentence about each word that may follow.
        description: of all of them.
        words: those that followed; none of the choices is the first.

    Raises:
        SystemExit: with status 0 if ``words`` ask for help, else 2.
    """

    def described(text: str) -> Callable[[], None]:
        def choice() -> None: ...

        choice.__doc__ = text
        return choice

    tyro.extras.subcommand_cli_from_dict(
        {name: described(text) for name, text in choices.items()},
        prog=program,
        description=description,
        args=words,
    )
    raise AssertionError(f"{words} begin with a choice")
