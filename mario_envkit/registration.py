"""Gymnasium ids, and how their environments are put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import register
from gymnasium.wrappers import FrameStackObservation

from mario_envkit.arguments import (
    MOST_FRAMES,
    MOST_STACKED,
    as_bool,
    as_choice,
    as_float,
    as_int,
    as_sequence,
    check_keywords,
    not_possible,
)
from mario_envkit.emulator.picture import Picture, screen_size_of
from mario_envkit.emulator.rom import VARIANTS
from mario_envkit.env import OBSERVATIONS, MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.game.actions import plain_actions
from mario_envkit.game.levels import STAGES, WORLDS
from mario_envkit.wrappers import (
    BlankObservation,
    ButtonActions,
    FrameSkip,
    NoopReset,
    NumericInfo,
    StallLimit,
    StickyAction,
)

NAMESPACE = "mario_envkit"


def make_mario(
    *,
    actions: str | Sequence[Sequence[str]] = "raw",
    frame_skip: int = 1,
    max_pool: bool = False,
    screen_size: int | tuple[int, int] | None = None,
    grayscale: bool = False,
    crop_top: int = 0,
    palette: str | Sequence[int] = "luma",
    frame_stack: int = 1,
    repeat_action_probability: float | Sequence[float] = 0.0,
    repeat_frame_probability: float = 0.0,
    blank_probability: float = 0.0,
    noop_max: int = 0,
    stall_limit: int | None = None,
    numeric_info: bool = False,
    **env_kwargs: Any,
) -> gymnasium.Env[Any, Any]:
    """A game with the wrappers that the arguments ask for: the entry point of every id.

    From the inside out: the game, no-op start, frame skip and sticky frames, named actions, sticky
    actions, stall limit, blank observations, frame stack, numeric infos.

    Args:
        actions: "raw" (256 joypad bytes), "right_only", "simple", "complex", or combinations of
            buttons: a text like "right+A,left,noop", or lists of them.
        frame_skip: frames an action is held, up to 3600.
        max_pool: pixel-wise maximum of the last two of these frames; not for tiles.
        screen_size: side of a square picture, or ``(height, width)``; None is 240 x 256.
        grayscale: one luma channel instead of RGB.
        crop_top: rows cut off at the top of the screen; 32 drop the score bar.
        palette: "luma", "contrast" or 32 grey values, see :class:`~mario_envkit.Picture`.
        frame_stack: observations stacked along a new first axis, up to 256; 1 adds no axis.
        repeat_action_probability: chance that a step repeats the action before it instead; of the
            native vector also a list of one number for each game (of a single game: of one).
        repeat_frame_probability: chance in each frame that the console sees the buttons of the
            frame before instead, as in the Arcade Learning Environment (Machado et al. 2018).
        blank_probability: chance that an observation is blank (all zeros), each for itself before
            they are stacked.
        noop_max: the most frames of doing nothing at the start of an episode.
        stall_limit: steps without anything new after which an episode is truncated.
        numeric_info: infos hold numbers only, and no dictionaries: for libraries that store or
            batch them, see :func:`~mario_envkit.wrappers.numeric.numbers_of`.
        env_kwargs: see :class:`~mario_envkit.env.MarioEnv`.

    Raises:
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """
    check_keywords(env_kwargs, make_mario, MarioEnv, but=("picture",))
    options = wrapper_options(
        actions=actions,
        frame_skip=frame_skip,
        max_pool=max_pool,
        frame_stack=frame_stack,
        repeat_action_probability=repeat_action_probability,
        repeat_frame_probability=repeat_frame_probability,
        blank_probability=blank_probability,
        noop_max=noop_max,
        stall_limit=stall_limit,
        numeric_info=numeric_info,
    )
    observation = as_choice("observation", env_kwargs.get("observation", "pixels"), OBSERVATIONS)
    if options["max_pool"] and observation == "tiles":
        raise OptionError(
            "max_pool takes the larger of two pixels, and tiles are codes: leave it out."
        )
    picture = make_picture(screen_size, grayscale, crop_top, palette)
    game = MarioEnv(picture=picture, **env_kwargs)
    if game.reward_function.stalls and options["stall_limit"] is None:
        game.close()
        raise OptionError("The reward has a price for stalls: say when with a stall_limit.")
    return add_wrappers(game, **options)


# From this Gymnasium knows what it can make of other render modes, such as "rgb_array_list".
make_mario.metadata = MarioEnv.metadata  # type: ignore[attr-defined]


def make_picture(
    screen_size: int | tuple[int, int] | None = None,
    grayscale: bool = False,
    crop_top: int = 0,
    palette: str | Sequence[int] = "luma",
) -> Picture:
    """The picture that these arguments of :func:`make_mario` describe."""
    size = screen_size_of("screen_size", screen_size)
    return Picture(size, grayscale, crop_top, palette)  # type: ignore[arg-type]


def wrapper_options(
    *,
    actions: str | Sequence[Sequence[str]] = "raw",
    frame_skip: int = 1,
    max_pool: bool = False,
    frame_stack: int = 1,
    repeat_action_probability: float | Sequence[float] = 0.0,
    repeat_frame_probability: float = 0.0,
    blank_probability: float = 0.0,
    noop_max: int = 0,
    stall_limit: int | None = None,
    numeric_info: bool = False,
) -> dict[str, Any]:
    """These arguments of :func:`make_mario`, checked and as plain values."""
    return {
        "actions": plain_actions(actions),
        "frame_skip": as_int("frame_skip", frame_skip, least=1, most=MOST_FRAMES, what="frames"),
        "max_pool": as_bool("max_pool", max_pool),
        "frame_stack": as_int("frame_stack", frame_stack, least=1, most=MOST_STACKED),
        "repeat_action_probability": _stickiness(repeat_action_probability),
        "repeat_frame_probability": as_float(
            "repeat_frame_probability", repeat_frame_probability, least=0, below=1
        ),
        "blank_probability": as_float("blank_probability", blank_probability, least=0, below=1),
        "noop_max": as_int("noop_max", noop_max, most=MOST_FRAMES, what="frames"),
        "stall_limit": None
        if stall_limit is None
        else as_int("stall_limit", stall_limit, least=1, what="steps"),
        "numeric_info": as_bool("numeric_info", numeric_info),
    }


def is_for_each_game(value: Any) -> bool:
    """Whether an argument is a list with a value for each game."""
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _stickiness(probability: Any) -> float | tuple[float, ...]:
    """A chance for all games, or one for each."""
    name = "repeat_action_probability"
    if is_for_each_game(probability):
        each = as_sequence(name, probability, "a number, or one for each game")
        return tuple(as_float(f"{name}[{i}]", p, least=0, below=1) for i, p in enumerate(each))
    return as_float(name, probability, least=0, below=1)


def add_wrappers(env: gymnasium.Env[Any, Any], **options: Any) -> gymnasium.Env[Any, Any]:
    """The wrappers that arguments of :func:`make_mario` ask for, around a bare game.

    Args:
        env: the game.
        options: see :func:`wrapper_options`; what is left out adds no wrapper.
    """
    asked = wrapper_options(**options)
    sticky = asked["repeat_action_probability"]
    if isinstance(sticky, tuple) and len(sticky) != 1:
        raise not_possible(
            "repeat_action_probability", list(sticky),
            "one number (a list has one for each game of the native vector)",
        )  # fmt: skip
    if asked["noop_max"]:
        env = NoopReset(env, asked["noop_max"])
    if asked["frame_skip"] != 1 or asked["repeat_frame_probability"]:
        env = FrameSkip(
            env, asked["frame_skip"], asked["max_pool"], asked["repeat_frame_probability"]
        )
    if asked["actions"] != "raw":
        env = ButtonActions(env, asked["actions"])
    if sticky:  # a list of one is, whatever the number
        env = StickyAction(env, *sticky if isinstance(sticky, tuple) else (sticky,))
    if asked["stall_limit"] is not None:
        env = StallLimit(env, asked["stall_limit"])
    if asked["blank_probability"]:
        env = BlankObservation(env, asked["blank_probability"])
    if asked["frame_stack"] != 1:
        env = FrameStackObservation(env, asked["frame_stack"])
    return NumericInfo(env) if asked["numeric_info"] else env


TRAIN_DEFAULTS: dict[str, Any] = {
    "actions": "simple",
    "frame_skip": 4,
    "screen_size": 84,
    "grayscale": True,
    "frame_stack": 4,
}
"""What ``MarioTrain-v0`` is, as keyword arguments; all can be overridden in ``make``."""

TILES_DEFAULTS: dict[str, Any] = {
    "actions": "simple",
    "observation": "tiles",
    "frame_skip": 4,
    "frame_stack": 2,
}
"""What ``MarioTiles-v0`` is."""

_ENTRY_POINT = "mario_envkit.registration:make_mario"
_VECTOR_ENTRY_POINT = "mario_envkit.vector:MarioVectorEnv"


def _register(env_id: str, **kwargs: Any) -> None:
    register(
        env_id, entry_point=_ENTRY_POINT, vector_entry_point=_VECTOR_ENTRY_POINT, kwargs=kwargs
    )


def _register_drop_ins(prefix: str) -> None:
    """The ids of gym-super-mario-bros 7.4: RGB, joypad bytes, one frame a step."""
    legacy = {"timing": "nes-py", "end_on_exit": False}
    for version, variant in enumerate(VARIANTS["smb"]):
        kwargs = {**legacy, "rom_variant": variant}
        _register(f"{prefix}SuperMarioBros-v{version}", level="full", **kwargs)
        _register(f"{prefix}SuperMarioBrosRandomStages-v{version}", level="random", **kwargs)
        for world in range(1, WORLDS["smb"] + 1):
            for stage in range(1, STAGES + 1):
                level = f"{world}-{stage}"
                _register(f"{prefix}SuperMarioBros-{level}-v{version}", level=level, **kwargs)
    for version, variant in enumerate(VARIANTS["lost_levels"]):
        _register(
            f"{prefix}SuperMarioBros2-v{version}",
            game="lost_levels", level="full", rom_variant=variant, **legacy,
        )  # fmt: skip


def register_envs() -> None:
    """Register all ids; ``import mario_envkit`` does it."""
    _register("Mario-v0")
    _register("MarioTrain-v0", **TRAIN_DEFAULTS)
    _register("MarioTiles-v0", **TILES_DEFAULTS)
    register(
        "MarioSnapshot-v0",
        entry_point="mario_envkit.snapshots:create_snapshot_mario_env",
        vector_entry_point="mario_envkit.snapshots:MarioSnapshotVectorEnv",
    )
    _register_drop_ins(f"{NAMESPACE}/")


def register_legacy_ids() -> None:
    """Register the drop-in ids without the namespace as well, as code written for 7.4 has them."""
    _register_drop_ins("")
