"""Training configurations: frozen dataclasses, read from YAML, JSON or the command line.

A trainer's configuration subclasses :class:`TrainConfig`. Limits are written into the types
(``Annotated[int, Meta(ge=1)]``), so that the same rule holds for a file and for an option, and
msgspec enforces them. The string under each field is its help text on the command line.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
import msgspec.inspect
import yaml
from msgspec import Meta

from mario_envkit.arguments import MOST_FRAMES, MOST_STACKED, most_similar
from mario_envkit.emulator.picture import PALETTE_SLOTS, STATUS_BAR_HEIGHT
from mario_envkit.emulator.protocol import SCREEN_HEIGHT
from mario_envkit.errors import ConfigError, OptionError
from mario_envkit.files import parse_json
from mario_envkit.game.actions import actions_text

if TYPE_CHECKING:
    from typing_extensions import Self

C = TypeVar("C")

PositiveInt = Annotated[int, Meta(ge=1)]
Frames = Annotated[int, Meta(ge=1, le=MOST_FRAMES)]
IdleFrames = Annotated[int, Meta(ge=0, le=MOST_FRAMES)]
Stacked = Annotated[int, Meta(ge=1, le=MOST_STACKED)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
ScreenSide = Annotated[int, Meta(ge=16, le=240)]
# Not a tuple of fixed length: msgspec 0.22 crashes on one beside a number with limits.
HeightWidth = Annotated[tuple[ScreenSide, ...], Meta(min_length=2, max_length=2)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Chance = Annotated[float, Meta(ge=0, lt=1)]
Grey = Annotated[int, Meta(ge=0, le=255)]
Greys = Annotated[tuple[Grey, ...], Meta(min_length=PALETTE_SLOTS, max_length=PALETTE_SLOTS)]
Palette = Literal["luma", "contrast"] | Greys
Precision = Literal["auto", "float32", "bfloat16"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Options that every trainer has; an algorithm's configuration adds its own."""

    RESUMABLE: ClassVar[frozenset[str]] = frozenset(
        {
            "total_steps",
            "max_minutes",
            "device",
            "log_interval",
            "checkpoint_interval",
            "eval_interval",
            "eval_episodes",
            "gradient_dtype",
            "heartbeat_timeout",
            "keep_checkpoints",
            "max_staleness",
            "torch_threads",
            "ui",
            "precision",
            "wandb",
            "workers",
        }
    )
    """Fields that may differ from the stored ones when a run is resumed."""

    PATHS: ClassVar[frozenset[str]] = frozenset({"rom", "backward"})
    """Fields that are paths: wherever they come from, relative ones are relative to the current
    directory, and what is stored is absolute."""

    level: str = "1-1"
    """What is played: 1-1, full (the whole game), 1-1..2-4 (any of these), or an order of them:
    random (or all), sequential, on-success or weighted, for all levels, or weighted:1-1..2-4."""
    game: Literal["smb", "lost_levels"] = "smb"
    """The cartridge: Super Mario Bros, or The Lost Levels."""
    actions: str = "simple"
    """Joypad actions: right_only, simple, complex, raw (all 256), or combinations of buttons of
    your own like right+A,left,noop; in a file also lists of them, [[right, A], [left], []]."""
    reward: Literal["progress", "v7", "v9"] = "progress"
    """Reward function: progress (new best x only), or those of gym-super-mario-bros 7 or 9."""
    frame_skip: Frames = 4
    """Frames for which an action is held; one agent step is this many frames (60 a second)."""
    frame_stack: Stacked = 2
    """Number of pictures, one agent step apart, in an observation."""
    observation: Literal["pixels", "tiles"] = "pixels"
    """What the agent sees: the screen, or the tiles around Mario."""
    screen_size: ScreenSide | HeightWidth = (52, 64)
    """Pixels of an observed screen: the side of a square, or height and width."""
    palette: Palette = "contrast"
    """How colours become grey: contrast, which shows Mario well, luma as on television, which hides
    him, or 32 grey values, one for each entry of the console's palette memory."""
    crop_top: Annotated[int, Meta(ge=0, le=120)] | None = None
    """Rows cut off at the top of the screen; None is 32, which drops the score bar, or as many as a
    screen_size of more than 208 rows leaves."""
    stall_limit: PositiveInt | None = 150
    """Agent steps without a new best x after which an episode is truncated; None for no limit."""
    noop_max: IdleFrames = 30
    """Training episodes begin with a random number of idle frames up to this one."""
    repeat_action_probability: Chance = 0.0
    """Sticky actions: probability that the console sees the previous action again."""
    rom: str | None = None
    """Path of a cartridge image, stored as an absolute one; None for the one that
    gym-super-mario-bros installs."""
    rom_unknown: Literal["refuse", "allow"] = "refuse"
    """An image that is not known, such as a hack, is refused or allowed; what then cannot be
    promised, help(mario_envkit.MarioEnv) says."""

    total_steps: PositiveInt = 1_000_000
    """Budget in agent steps, summed over all environments."""
    max_minutes: PositiveFloat | None = None
    """Budget in minutes of wall-clock time for this call; whichever budget ends first counts."""
    seed: NonNegativeInt = 0
    """Seed of everything random: environments, exploration, replay, initial weights."""
    device: str = "auto"
    """Where the networks live: cpu, cuda, cuda:1, ..., or auto (cuda if there is one)."""
    precision: Precision = "auto"
    """Numbers for the arithmetic of networks; auto is bfloat16 where the processor is fast at it.
    Weights are float32 anyhow."""
    num_envs: PositiveInt = 8
    """Number of environments that a worker steps together."""
    workers: NonNegativeInt = 0
    """Worker processes that play and compute gradients; 0 does everything in one process."""
    accumulate_grads: PositiveInt = 1
    """Batches whose mean gradients are sent to the coordinator together."""
    max_staleness: NonNegativeInt = 16
    """Gradients of weights that are older by more updates than this are dropped."""
    synchronous: bool = False
    """Make each update from one packet of gradients of every worker, none of them stale."""
    gradient_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of gradients on their way to the coordinator; bfloat16 is half as large."""
    heartbeat_timeout: PositiveFloat = 60.0
    """Seconds without a sign of life after which a worker is replaced; a round of playing, and a
    batch, must take less."""
    torch_threads: PositiveInt = 1
    """Threads of each process for PyTorch on the CPU; more pay off only on idle cores."""
    snapshots: bool = True
    """Practise where Mario dies: go on from snapshots before the places of many deaths."""
    start_states: Fraction = 0.0
    """Share of training episodes that begin at such a snapshot; it needs snapshots."""
    backward: str | None = None
    """File of a run through the level, as mario-envkit solve writes them, or a folder with the
    level's among others: training episodes begin shortly before its end, then farther and farther
    back; it needs snapshots."""

    log_interval: PositiveInt = 1_000
    """Agent steps between two rows of the metrics files."""
    checkpoint_interval: PositiveInt = 20_000
    """Agent steps between two checkpoints; there is always one at the end."""
    keep_checkpoints: PositiveInt = 3
    """Number of checkpoints kept on disk."""
    eval_interval: NonNegativeInt = 50_000
    """Agent steps between two greedy evaluations during training; 0 for none. The best weights of
    all are kept beside the latest."""
    eval_episodes: PositiveInt = 10
    """Episodes of one such evaluation, and as many again with sticky actions."""
    ui: bool = True
    """Show the run in a dashboard while it trains, if there is a terminal; the command line shows a
    progress line otherwise."""
    wandb: str | None = None
    """Project at Weights & Biases to send metrics to (needs the extra "wandb"); None for none."""

    def __post_init__(self) -> None:
        if (self.start_states or self.backward is not None) and not self.snapshots:
            raise ConfigError("start_states and backward need snapshots; leave out --no-snapshots.")
        if self.start_states and self.backward is not None:
            raise ConfigError(
                "start_states and backward both say where episodes begin; give one of them."
            )

    def resolved(self) -> Self:
        """The same options with what was left to this machine decided.

        That is what a run stores, so that another machine builds the same networks from it.
        """
        return dataclasses.replace(self, crop_top=self.rows_cut)

    @property
    def rows_cut(self) -> int:
        """What ``crop_top`` means."""
        if self.crop_top is not None:
            return self.crop_top
        size = self.screen_size
        return min(STATUS_BAR_HEIGHT, SCREEN_HEIGHT - (size if isinstance(size, int) else size[0]))

    def env_kwargs(self) -> dict[str, Any]:
        """Keyword arguments of ``MarioTrain-v0`` for the options above."""
        kwargs: dict[str, Any] = {
            "level": self.level,
            "game": self.game,
            "actions": self.actions,
            "reward": self.reward,
            "frame_skip": self.frame_skip,
            "observation": self.observation,
            "frame_stack": self.frame_stack,
            "screen_size": self.screen_size,
            "palette": self.palette,
            "crop_top": self.rows_cut,
            "stall_limit": self.stall_limit,
            "noop_max": self.noop_max,
            "repeat_action_probability": self.repeat_action_probability,
        }
        if self.rom is not None:
            kwargs["rom"] = self.rom
        if self.rom_unknown != "refuse":
            kwargs["rom_unknown"] = self.rom_unknown
        return kwargs


class _YamlLoader(yaml.SafeLoader):
    """YAML 1.1 reads ``1e-4`` as a string; people who write learning rates do not expect that."""


_YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


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
            close = most_similar(key.replace("-", "_"), sorted(known))
            hint = f"did you mean {close!r}?" if close else f"known are {sorted(known)}."
            raise ConfigError(f"{source}: there is no option {key!r}; {hint}")
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
    # "Expected `int`, got `str`": the value itself says more than its type.
    expected = what.split(", got ")[0].replace("`", "")
    expected = expected[0].lower() + expected[1:]
    return f"{source}: {key}{rest} = {values.get(key)!r} is not valid: {expected}."


def absolute_paths(config: C) -> C:
    """The same options with all :attr:`TrainConfig.PATHS` absolute, from the current directory.

    Configurations enter through this, and runs and benches store nothing else, so that they can be
    resumed and evaluated from anywhere. (Runs of older versions with relative paths go on to work
    from the directory where they were begun.)
    """
    given = {name: getattr(config, name) for name in getattr(type(config), "PATHS", ())}
    changed = {name: str(Path(path).absolute()) for name, path in given.items() if path}
    return dataclasses.replace(config, **changed) if changed else config  # type: ignore[type-var]


def to_plain(config: Any) -> dict[str, Any]:
    """The configuration as plain JSON values by field name."""
    # Field by field: msgspec leaves out defaults that it has not set itself.
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    plain: dict[str, Any] = _as_json(msgspec.to_builtins(values))
    return plain


def _as_json(value: Any) -> Any:
    """Tuples become lists, as they do in a file."""
    if isinstance(value, dict):
        return {name: _as_json(entry) for name, entry in value.items()}
    return [_as_json(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def validate(config: C, *, source: str) -> C:
    """Check a configuration that was not built by :func:`make_config` against its types.

    Raises:
        ConfigError: as :func:`make_config`.
    """
    return make_config(type(config), to_plain(config), source=source)


def check_resume(stored: Any, wanted: Any) -> None:
    """Refuse to continue a run under options that would make it another experiment.

    Raises:
        ConfigError: if a field differs that is not in the configuration's ``RESUMABLE``.
    """
    free = getattr(type(stored), "RESUMABLE", TrainConfig.RESUMABLE)
    old, new = to_plain(absolute_paths(stored)), to_plain(absolute_paths(wanted))
    for key in old:
        if key not in free and old[key] != new[key]:
            raise ConfigError(
                f"The run was started with {key} = {old[key]!r} and cannot be resumed with "
                f"{new[key]!r}; leave the option out, or start a new run."
            )
