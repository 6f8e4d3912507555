"""From a file, or from plain values, to a configuration whose every value has been checked."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec
import msgspec.inspect
import yaml

from mario_agents.config.stored import to_plain
from mario_envkit.arguments import most_similar
from mario_envkit.errors import ConfigError, OptionError
from mario_envkit.files import parse_json
from mario_envkit.game.actions import actions_text

C = TypeVar("C")


class _YamlLoader(yaml.SafeLoader):
    """YAML 1.1 reads ``1e-4`` as a string, and ``5:25`` as a number to the base 60; people who
    write learning rates and schedules do not expect that."""


_YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


_LINE = ("tag:yaml.org,2002:str", re.compile(r"[-+]?[0-9.]+:[-+0-9.:]+"))
for _first in "-+.0123456789":  # or else 5:25 is the 325 seconds of five minutes and 25
    _YamlLoader.yaml_implicit_resolvers.setdefault(_first, []).insert(0, _LINE)


def _parse_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_YamlLoader)  # a SafeLoader: plain values only
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None


def read_options(path: Path) -> dict[str, Any]:
    """Read a YAML (``.yaml``, ``.yml``) or JSON (``.json``) file of options.

    A run's own ``config.json`` is accepted too: its ``config`` part is used.

    Raises:
        ConfigError: if the file is missing, malformed, or not a mapping from names to values.
    """
    suffix = path.suffix.lower()
    if suffix not in {".yaml", ".yml", ".json"}:
        raise ConfigError(f"The configuration {path} must be a .yaml, .yml or .json file.")
    try:
        text = path.read_text(encoding="utf-8")
        values = parse_json(text) if suffix == ".json" else _parse_yaml(text)
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {path}: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"The configuration {path} is not valid {suffix[1:]}: {reason}."
        ) from error
    values = {} if values is None else values
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(
            f"The configuration {path} must map option names to values, "
            "for example 'total_steps: 100000'."
        )
    if isinstance(values.get("config"), dict) and "trainer" in values:
        return dict(values["config"])
    return values


def parse_value(text: str) -> Any:
    """A value as a YAML file has it: ``1e-4``, ``true``, ``null``, ``[52, 64]``, ``small``.

    Raises:
        ConfigError: if it is no YAML.
    """
    try:
        return _parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{text!r} is no value of an option, such as 3, 1e-4 or true.") from error


def make_config(config_class: type[C], values: Mapping[str, Any], *, source: str) -> C:
    """Validate ``values`` into a configuration; what is left out has its default.

    Args:
        config_class: a dataclass.
        values: plain values by field name, as from YAML or JSON.
        source: where they come from, for the error message ("options.yaml", "command line").

    Raises:
        ConfigError: for an unknown name (with the most similar one), a wrong type, or a value
            outside its limits.
    """
    known = {field.name for field in dataclasses.fields(config_class) if field.init}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise _unknown(key, known, source)
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{source}: {key} = {value} must be a finite number.")
    kinds = _kinds(config_class)
    values = {key: _with_whole_numbers(value, kinds[key]) for key, value in values.items()}
    if "actions" in values and not isinstance(values["actions"], str):
        try:
            values["actions"] = actions_text(values["actions"])
        except OptionError as error:
            raise ConfigError(f"{source}: {error}") from None
    try:
        return msgspec.convert(values, config_class)
    except msgspec.ValidationError as error:
        raise ConfigError(_sentence(str(error), values, source)) from error


def make_value(config_class: type[Any], name: str, value: Any, *, source: str) -> Any:
    """One value of one option as a plain value, checked as :func:`make_config` does: whether it
    goes with the values of other options is not looked at.

    Raises:
        ConfigError: for an unknown name, a wrong type, or a value outside its limits.
    """
    kinds = _kinds(config_class)
    if name not in kinds:
        raise _unknown(name, kinds, source)
    if name == "actions":
        return actions_text(value)
    value = _with_whole_numbers(value, kinds[name])
    kind = get_type_hints(config_class, include_extras=True)[name]
    try:
        return msgspec.to_builtins(msgspec.convert(value, kind))
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{source}: {name} = {value!r} is not valid: {_expected(str(error))}."
        ) from error


def numbers_of(config_class: type[Any], name: str) -> type[int] | type[float] | None:
    """The numbers that an option takes: any, whole ones only, or none at all."""
    kind = _kinds(config_class)[name]
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    if any(isinstance(one, msgspec.inspect.FloatType) for one in kinds):
        return float
    return int if any(isinstance(one, msgspec.inspect.IntType) for one in kinds) else None


def _unknown(name: str, known: Iterable[str], source: str) -> ConfigError:
    close = most_similar(name.replace("-", "_"), sorted(known))
    hint = f"did you mean {close!r}?" if close else f"known are {sorted(known)}."
    return ConfigError(f"{source}: there is no option {name!r}; {hint}")


def _kinds(config_class: type[Any]) -> dict[str, msgspec.inspect.Type]:
    info = msgspec.inspect.type_info(config_class)
    assert isinstance(info, msgspec.inspect.DataclassType)
    return {field.name: field.type for field in info.fields}


def _with_whole_numbers(value: Any, kind: msgspec.inspect.Type) -> Any:
    """``1e6``, which YAML and JSON read as a float, is an int where one is expected."""
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    if isinstance(value, float) and value.is_integer():
        holds_float = any(isinstance(one, msgspec.inspect.FloatType) for one in kinds)
        holds_int = any(isinstance(one, msgspec.inspect.IntType) for one in kinds)
        return int(value) if holds_int and not holds_float else value
    if isinstance(value, (list, tuple)):
        for one in kinds:
            if isinstance(one, (msgspec.inspect.VarTupleType, msgspec.inspect.ListType)):
                return [_with_whole_numbers(item, one.item_type) for item in value]
    return value


def _sentence(message: str, values: Mapping[str, Any], source: str) -> str:
    """Turn msgspec's ``Expected `int` >= 1 - at `$.total_steps` `` into a sentence."""
    match = re.fullmatch(r"(.*) - at `\$\.(\w+)(.*)`", message, flags=re.DOTALL)
    if match is None:  # a check over several fields, in the configuration's __post_init__
        return f"{source}: {message}"
    what, key, rest = match.groups()
    return f"{source}: {key}{rest} = {values.get(key)!r} is not valid: {_expected(what)}."


def _expected(message: str) -> str:
    """``Expected `int`, got `str` ``: the value itself says more than its type."""
    expected = message.split(" - at `")[0].split(", got ")[0].replace("`", "")
    return expected[0].lower() + expected[1:]


def validate(config: C, *, source: str) -> C:
    """Check a configuration that was not built by :func:`make_config` against its types.

    Raises:
        ConfigError: as :func:`make_config`.
    """
    return make_config(type(config), to_plain(config), source=source)
