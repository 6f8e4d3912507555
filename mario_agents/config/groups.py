"""The options that every trainer has, in groups; :class:`TrainConfig` is the sum of them.

The string under each field is its help text on the command line, and the name of a group, with the
first sentence of its docstring, heads its options there.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from mario_agents.config.scalars import (
    Chance,
    Chances,
    Fraction,
    Frames,
    HeightWidth,
    IdleFrames,
    LrScaling,
    NonNegativeFloat,
    NonNegativeInt,
    Palette,
    Paths,
    PositiveFloat,
    PositiveInt,
    Precision,
    ScreenSide,
    Share,
    Stacked,
)
from mario_envkit.emulator.picture import STATUS_BAR_HEIGHT
from mario_envkit.emulator.protocol import SCREEN_HEIGHT
from mario_envkit.errors import ConfigError, OptionError
from mario_envkit.game.levels import all_levels
from mario_envkit.game.reward_options import weighted
from mario_envkit.game.tiles import SHAPE as TILES_SHAPE


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """A part of a configuration.

    Attributes:
        HEADING: its name in ``--help``.
        RESUMABLE: fields that may differ from the stored ones when a run is resumed.
        PATHS: fields that are paths: wherever they come from, relative ones are relative to the
            current directory, and what is stored is absolute.
    """

    HEADING: ClassVar[str]
    RESUMABLE: ClassVar[frozenset[str]] = frozenset()
    PATHS: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        """Check options that exclude one another.

        Raises:
            ConfigError: if they do; groups that override this call it first.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class GameOptions(OptionGroup):
    """What is played, and how the agent sees and is rewarded for it."""

    HEADING = "game"
    PATHS = frozenset({"rom"})

    level: str = "1-1"
    """What is played: 1-1, full (the whole game), 1-1..2-4 (any of these), or an order of them:
    random (or all), sequential, on-success, weighted or worst, for all levels, or
    weighted:1-1..2-4."""
    game: Literal["smb", "lost_levels"] = "smb"
    """The cartridge: Super Mario Bros, or The Lost Levels."""
    actions: str = "simple"
    """Joypad actions: right_only, simple, complex, raw (all 256), or combinations of buttons of
    your own like right+A,left,noop; in a file also lists of them, [[right, A], [left], []]."""
    reward: Literal["progress", "v7", "v9"] = "progress"
    """Reward function: progress (new best x only), or those of gym-super-mario-bros 7 or 9."""
    reward_weights: dict[str, NonNegativeFloat] = dataclasses.field(default_factory=dict)
    """Other weights for terms of the reward, such as death=25 progress=0.25 stall=25, in the units
    of the reward that is learned from: progress (and path, distance, clock, score, coins, powerup)
    pays so many times as much; a flag (or warp) pays, and a death or a stall costs, so much. By
    themselves they are progress=1 flag=5 death=5; terms that a reward does not have are added. A
    stall with a price is a loss as a death is: nothing is expected after it."""
    frame_skip: Frames = 4
    """Frames for which an action is held; one agent step is this many frames (60 a second)."""
    frame_stack: Stacked = 2
    """Number of pictures, one agent step apart, in an observation."""
    observation: Literal["pixels", "tiles"] = "pixels"
    """What the agent sees: the screen, or the tiles around Mario."""
    show_buttons: bool = False
    """With tiles: see which buttons the game has read last. With sticky actions these are not
    always the chosen ones, and what comes next depends on them."""
    show_level: bool = False
    """With tiles: see which level it is, one input for each. Helps an agent that learns many levels
    to tell them apart, and tells it nothing in levels that it has not learned."""
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
    repeat_action_probability: Chance | Chances = 0.0
    """Sticky actions: probability that the console sees the previous action again. Several numbers,
    such as 0 0.1 0.25 0.5, are those of the environments of each worker in turn."""
    repeat_frame_probability: Chance = 0.0
    """Sticky frames, as the Arcade Learning Environment has them: probability in each of the frames
    of an action that the console sees the buttons of the frame before again."""
    blank_probability: Chance = 0.0
    """Probability that a picture is blank, in evaluations too: then the agent has to remember."""
    rom: str | None = None
    """Path of a cartridge image, stored as an absolute one; None for the one that
    gym-super-mario-bros installs."""
    rom_unknown: Literal["refuse", "allow"] = "refuse"
    """An image that is not known, such as a hack, is refused or allowed; what then cannot be
    promised, help(mario_envkit.MarioEnv) says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            reward = weighted(self.reward, self.reward_weights)
        except OptionError as error:
            raise ConfigError(str(error)) from None
        for name in ("show_buttons", "show_level"):
            if getattr(self, name) and self.observation != "tiles":
                raise ConfigError(f"{name} is for tiles; leave it out, or give observation tiles.")
        if reward.stalls and self.stall_limit is None:
            raise ConfigError("The reward has a price for stalls: say when with a stall_limit.")

    @property
    def rows_cut(self) -> int:
        """What ``crop_top`` means."""
        if self.crop_top is not None:
            return self.crop_top
        size = self.screen_size
        return min(STATUS_BAR_HEIGHT, SCREEN_HEIGHT - (size if isinstance(size, int) else size[0]))

    @property
    def obs_shape(self) -> tuple[int, ...]:
        """Of an observation of the game."""
        size = self.screen_size
        screen = (size, size) if isinstance(size, int) else tuple(size)
        picture = screen if self.observation == "pixels" else TILES_SHAPE
        return (self.frame_stack, *picture) if self.frame_stack > 1 else picture

    @property
    def levels_shown(self) -> int:
        """How many levels tiles tell apart: all of the game, or 0."""
        return len(all_levels(self.game)) if self.show_level else 0

    def stickiness(self, games: int) -> list[float]:
        """``repeat_action_probability`` of each of so many environments."""
        sticky = self.repeat_action_probability
        each = sticky if isinstance(sticky, tuple) else (sticky,)
        return [each[game % len(each)] for game in range(games)]

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
            "repeat_action_probability": self.stickiness(1)[0],
        }
        if self.repeat_frame_probability:
            kwargs["repeat_frame_probability"] = self.repeat_frame_probability
        if self.reward_weights:
            kwargs["reward_weights"] = dict(self.reward_weights)
        if self.show_buttons:
            kwargs["show_buttons"] = True
        if self.show_level:
            kwargs["show_level"] = True
        if self.blank_probability:
            kwargs["blank_probability"] = self.blank_probability
        if self.rom is not None:
            kwargs["rom"] = self.rom
        if self.rom_unknown != "refuse":
            kwargs["rom_unknown"] = self.rom_unknown
        return kwargs


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperienceOptions(OptionGroup):
    """Where experience comes from: environments, and where their episodes begin."""

    HEADING = "experience"
    PATHS = frozenset({"along", "backward"})

    num_envs: PositiveInt = 8
    """Number of environments that a worker steps together."""
    snapshots: bool = True
    """Practise where Mario dies: go on from snapshots before the places of many deaths."""
    max_restores: NonNegativeInt = 3
    """Restores in a row without new ground after which a death ends the episode all the same. 0
    lets the first death end it: then snapshots serve start_states, along and backward alone."""
    start_states: Fraction = 0.0
    """Share of training episodes that begin at such a snapshot; it needs snapshots."""
    backward: Paths | None = None
    """Runs through levels, as mario-envkit solve writes them: files, or folders with the played
    levels' among others. Training episodes begin shortly before the end of one of them, then
    farther and farther back, along each by itself; it needs snapshots."""
    along: Paths | None = None
    """Such runs, anywhere along which training episodes begin, each place as likely: reward_weights
    can pay for ground along them (path=1). It needs snapshots."""
    true_starts: Fraction = 0.0
    """With along or backward: share of training episodes that begin at the start of the level all
    the same. Level schedules (weighted, worst) and success in training know of these alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        elsewhere = [
            name for name in ("start_states", "backward", "along")
            if getattr(self, name) not in (0, None)
        ]  # fmt: skip
        if elsewhere and not self.snapshots:
            raise ConfigError(
                "start_states, backward and along need snapshots; leave out --no-snapshots."
            )
        if len(elsewhere) > 1:
            raise ConfigError(
                f"{' and '.join(elsewhere)} both say where episodes begin; give one of them."
            )

    @property
    def runs_followed(self) -> Paths | None:
        """The runs along which episodes begin."""
        return self.backward if self.along is None else self.along


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(OptionGroup):
    """Budget, seed, machine, and what the run writes down."""

    HEADING = "run"
    PATHS = frozenset({"init", "imitate"})
    RESUMABLE = frozenset(
        {
            "total_steps",
            "max_minutes",
            "device",
            "actor_device",
            "precision",
            "cuda_graphs",
            "torch_threads",
            "log_interval",
            "checkpoint_interval",
            "keep_checkpoints",
            "ui",
            "wandb",
        }
    )

    total_steps: PositiveInt = 1_000_000
    """Budget in agent steps, summed over all environments."""
    schedule: dict[str, str] = dataclasses.field(default_factory=dict)
    """Options that change while the run goes on, in a straight line over agent steps:
    NAME=START:END (until total_steps), NAME=START:END@STEPS or NAME=START:END@FROM-TO, such as
    reward_weights.death=5:25@1e6-2e6. Steps may be percent of total_steps, and several lines may
    follow one another: entropy_coef=0.01:0.01@25%,0.02:0.001. What can change:
    repeat_action_probability, the weight of each term of the reward, gamma (not of apex), the
    entropy bonus (entropy_coef or entropy_beta), and lr of ppo. A schedule wins over the option
    itself."""
    max_minutes: PositiveFloat | None = None
    """Budget in minutes of wall-clock time for this call; whichever budget ends first counts."""
    init: str | None = None
    """Begin a new run with weights of another one instead of random ones: its directory (the best
    weights), or a file of weights or of a checkpoint. Optimizer, counters and schedules begin anew,
    and other options may differ as long as the networks fit. (--resume goes on with a run itself:
    its optimizer, counters and options.)"""
    imitate: Paths | None = None
    """Before a new run plays, let it learn from runs that reach the flag: files, or folders with
    the played levels' among others. They must be such as the agent can play itself: of mario-envkit
    solve with its --frame-skip and --actions, or of mario-agents demonstrate. Policies imitate them
    (behaviour cloning); trainers with a replay buffer keep them in it as well."""
    imitate_steps: NonNegativeInt = 1_000
    """Updates of imitation before a run plays; they are none of total_steps. Behaviour cloning
    takes 256 steps for each, and keeps the weights that do best in what is held out."""
    seed: NonNegativeInt = 0
    """Seed of everything random: environments, exploration, replay, initial weights."""
    device: str = "auto"
    """Where the networks learn: cpu, cuda, cuda:1, ..., or auto (cuda if there is one)."""
    actor_device: str | None = None
    """Where they choose actions while training, with a copy of the weights that is renewed before
    they play; None is where they learn, or the CPU in workers that share experience."""
    precision: Precision = "auto"
    """Numbers for the arithmetic of networks; auto is bfloat16 where the processor is fast at it.
    Weights are float32 anyhow."""
    cuda_graphs: bool = True
    """On a GPU: record the computation of a batch once and replay it, so that the processor need
    not start its many small operations one by one."""
    torch_threads: PositiveInt = 1
    """Threads of each process for PyTorch on the CPU; more pay off only on idle cores."""
    log_interval: PositiveInt = 1_000
    """Agent steps between two rows of the metrics files."""
    checkpoint_interval: PositiveInt = 20_000
    """Agent steps between two checkpoints; there is always one at the end."""
    keep_checkpoints: PositiveInt = 3
    """Number of checkpoints kept on disk."""
    ui: bool = True
    """Show the run in a dashboard while it trains, if there is a terminal; the command line shows a
    progress line otherwise."""
    wandb: str | None = None
    """Project at Weights & Biases to send metrics to (needs the extra "wandb"); None for none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharingOptions(OptionGroup):
    """Worker processes and what they send one another."""

    HEADING = "sharing"
    RESUMABLE = frozenset(
        {
            "workers",
            "max_staleness",
            "lr_scaling",
            "gradient_dtype",
            "heartbeat_timeout",
            "cpu_affinity",
            "sync_every",
            "error_buffer",
            "rounds_ahead",
            "prefetch",
        }
    )

    workers: NonNegativeInt = 0
    """Worker processes that play; 0 does everything in one process."""
    share: Share | None = None
    """What workers send: gradients of a dataset of their own, or experience, which one learner
    beside them keeps and learns from; None is the trainer's own way."""
    sync_every: PositiveInt = 400
    """Agent steps after which a worker that shares experience looks for newer weights, before its
    next round."""
    error_buffer: PositiveInt | None = None
    """Agent steps whose batches the learner may owe before workers that share experience have to
    wait for it; None leaves it to the trainer."""
    rounds_ahead: Annotated[int, Meta(ge=2)] = 8
    """Rounds that a worker that shares experience may have played and the learner not taken in yet;
    fewer keep its weights nearer to the newest. Where they take much memory there are at most 4."""
    prefetch: NonNegativeInt | None = None
    """Batches that a learner of shared experience draws ahead, in a thread; None is 2 on a GPU, and
    0 on the CPU, where there is nothing to gain."""
    accumulate_grads: PositiveInt = 1
    """Batches of a worker, whichever rounds they are of, whose mean gradient is one packet: in one
    process, and of shared experience, one update."""
    max_staleness: NonNegativeInt = 16
    """Gradients of weights that are older by more updates than this are dropped."""
    synchronous: bool = False
    """Make each update from one packet of gradients of every worker, none of them stale."""
    cpu_affinity: bool = True
    """Let synchronous workers keep to cores of their own, where there are enough for all of them;
    switch it off for several such runs at once that do not fill the machine."""
    lr_scaling: LrScaling = "none"
    """How the learning rate grows with the number of synchronous workers whose gradients an update
    is the mean of: not at all, with its square root (Krizhevsky, 2014), or linear with it (Goyal et
    al., 2017, who let it rise slowly at first: lr_warmup)."""
    gradient_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of gradients on their way to the coordinator; bfloat16 is half as large."""
    heartbeat_timeout: PositiveFloat = 60.0
    """Seconds without a sign of life after which a worker is replaced; a round of playing, and a
    batch, must take less."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr_scaling != "none" and self.workers and not self.synchronous:
            raise ConfigError(
                "lr_scaling is for gradients that are averaged, which workers that do not wait for "
                "one another share as they come; add --synchronous, or give --lr-scaling none."
            )
