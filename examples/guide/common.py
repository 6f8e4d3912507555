"""What the experiments of the guide share: options, games seen as tiles, small networks, plots."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

import mario_envkit  # noqa: F401  (registers the ids)
from mario_agents.core.eager import AdamW
from mario_agents.nn.flat import TileInputs
from mario_agents.nn.init import orthogonal, seeded
from mario_agents.ops.policy_gradient import action_log_prob, sample_categorical
from mario_envkit.files import replace_file
from mario_envkit.game import tiles

ACTIONS = 7  # of the action set "simple": stand, right, jump, run, ...
Array = np.ndarray[Any, Any]


class Options(NamedTuple):
    """What the command line says.

    Attributes:
        out: file of the plot.
        seeds: one for each repetition.
        quick: whether the least will do, for a test.
    """

    out: Path
    seeds: list[int]
    quick: bool


def options(description: str | None, *, seeds: int = 3) -> Options:
    """Read the command line of an experiment; ``--help`` explains it and writes nothing.

    Args:
        description: the docstring of the script.
        seeds: how often the experiment is repeated.
    """
    name = Path(sys.argv[0]).with_suffix(".svg").name.replace("_", "-")
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(name), help=f"the plot; default {name}")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; default 0")
    parser.add_argument("--seeds", type=int, default=seeds, help=f"repetitions; default {seeds}")
    parser.add_argument("--quick", action="store_true", help="the least that runs, for tests")
    given = parser.parse_args()
    torch.set_num_threads(1)  # the networks are small: threads would wait for one another
    count = 1 if given.quick else given.seeds
    return Options(given.out, list(range(given.seed, given.seed + count)), given.quick)


def repeat(
    run: Callable[..., Any], seeds: list[int], settings: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[str, list[Any]]]:
    """``run(seed, *setting)`` for every seed, of one setting after another; two at a time."""
    jobs = [(seed, *setting) for setting in settings.values() for seed in seeds]
    with ProcessPoolExecutor(
        2, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        # One seed is the least work: then no process has to be started and to import all again.
        start = map if len(seeds) == 1 else pool.map
        results = start(run, *zip(*jobs, strict=True))
        for name in settings:
            yield name, list(islice(results, len(seeds)))


# -- networks ------------------------------------------------------------------------------------


def tile_network(outputs: int, seed: int, *, hidden: int = 128, gain: float = 0.01) -> nn.Module:
    """One hidden layer between tile pictures ``(B, 16, 16)`` uint8 and ``(B, outputs)``.

    Args:
        outputs: one for each action, or 1 for a value.
        seed: of the weights.
        hidden: units.
        gain: size of the last layer's weights; small ones make all actions equally likely at first.
    """
    inputs = TileInputs(tiles.SHAPE)
    with seeded(seed):
        first = orthogonal(nn.Linear(inputs.width, hidden))
        return nn.Sequential(inputs, first, nn.ReLU(), orthogonal(nn.Linear(hidden, outputs), gain))


def policy_and_value(seed: int) -> nn.ModuleList:
    """A network for the actor, and one for the critic."""
    return nn.ModuleList([tile_network(ACTIONS, seed), tile_network(1, seed + 1000)])


@torch.no_grad()
def values_of(value: nn.Module, obs: Array) -> Array:
    """Values ``(...)`` of observations ``(..., 16, 16)``."""
    flat = torch.from_numpy(obs.reshape(-1, *tiles.SHAPE))
    return value(flat).numpy().reshape(obs.shape[:-2])


def log_probs(policy: nn.Module, rollout: Rollout) -> Tensor:
    """Of the actions that were taken, as the policy is now, ``(T, N)``."""
    logits = policy(torch.from_numpy(rollout.obs[:-1]).flatten(0, 1))
    action = torch.from_numpy(rollout.action)
    return action_log_prob(logits, action.flatten()).view_as(action)


def rollout_values(value: nn.Module, rollout: Rollout) -> tuple[Array, Array]:
    """Values ``(T + 1, N)`` of the observations, and ``(T, N)`` of those that cut episodes off."""
    final = np.zeros(rollout.reward.shape, np.float32)
    if rollout.truncated.any():
        final[rollout.truncated] = values_of(value, rollout.final_obs[rollout.truncated])
    return values_of(value, rollout.obs), final


def adam(network: nn.Module, lr: float = 1e-3) -> torch.optim.Optimizer:
    """What moves its weights."""
    return AdamW(network.parameters(), lr=lr, weight_decay=0.0)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Move the weights one step against the gradient of ``loss``."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def flat_gradient(loss: Tensor, network: nn.Module) -> Tensor:
    """Of all weights, one after another, ``(P,)``."""
    parts = torch.autograd.grad(loss, list(network.parameters()))
    return torch.cat([part.flatten() for part in parts])


# -- games ---------------------------------------------------------------------------------------


class Rollout(NamedTuple):
    """``T`` steps of ``N`` games.

    Attributes:
        obs: ``(T + 1, N, 16, 16)``, what actions were chosen on, and what came after the last one.
        action, log_prob: ``(T, N)``, and the log-probability with which it was chosen.
        reward, terminated, truncated: ``(T, N)``.
        final_obs: ``(T, N, 16, 16)``, the last observation of an episode where one was truncated.
        first: ``(T, N)`` bool, whether the step belongs to the game's first episode here.
        x: ``(T, N)``, how far Mario was after the step, in pixels.
    """

    obs: Array
    action: Array
    log_prob: Array
    reward: Array
    terminated: Array
    truncated: Array
    final_obs: Array
    first: Array
    x: Array

    def of(self, games: list[int]) -> Rollout:
        """The same of some games only."""
        return Rollout(*(column[:, games] for column in self))

    def tensors(self) -> Any:
        """The same fields as tensors."""
        return Rollout(*map(torch.from_numpy, self))

    def distances(self, *, first: bool = False) -> Array:
        """How far Mario got in each episode that ended here, or in the first one of each game."""
        over = self.terminated | self.truncated
        return self.x[over & self.first if first else over]


Act = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From observations ``(N, 16, 16)`` to actions and their log-probabilities, each ``(N,)``."""


def sampler(policy: nn.Module, seed: int) -> Act:
    """Draws actions from ``softmax(policy(obs))``."""
    rng = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def act(obs: Tensor) -> tuple[Tensor, Tensor]:
        logits = policy(obs)
        action = sample_categorical(logits, rng)
        return action, action_log_prob(logits, action)

    return act


class Games:
    """``count`` games of level 1-1 from tiles; episodes follow one another.

    Args:
        count: how many are played at once.
        seed: of the idle frames (0 to 30) before each episode.
        steps: after which an episode is cut off; None plays on.
        options: further ones of ``MarioTiles-v0``.

    Attributes:
        played: steps so far, of all games.
    """

    def __init__(self, count: int, seed: int, steps: int | None = None, **options: Any) -> None:
        given = {"id": "MarioTiles-v0", "level": "1-1", "reward": "progress", **options}
        self.envs = gymnasium.make_vec(
            num_envs=count, max_episode_steps=steps, frame_stack=1, noop_max=30,
            autoreset_mode="SameStep", num_threads=None if count > 8 else 1, **given,
        )  # fmt: skip
        self.obs, _ = self.envs.reset(seed=seed)
        self.played = 0

    def play(self, act: Act, steps: int) -> Rollout:
        """The next ``steps`` of all games."""
        rows = []
        first = np.ones(len(self.obs), bool)
        for _ in range(steps):
            obs, final_obs = self.obs, np.zeros_like(self.obs)
            action, log_prob = (chosen.numpy() for chosen in act(torch.from_numpy(obs)))
            self.obs, reward, terminated, truncated, infos = self.envs.step(action)
            over = terminated | truncated
            x = infos["x_pos"].copy()
            if over.any():  # the games have begun anew: what they ended with is kept apart
                final_obs[over] = np.stack(infos["final_obs"][over])
                x[over] = infos["final_info"]["x_pos"][over]
            rows.append((obs, action, log_prob, reward, terminated, truncated, final_obs, first, x))
            first = first & ~over
        self.played += steps * len(first)
        obs, *others = (np.stack(column) for column in zip(*rows, strict=True))
        return Rollout(np.concatenate([obs, self.obs[None]]), *others)

    def copy_first(self) -> Callable[[], None]:
        """What makes all games copies of the first one, as that is now; it can be called again."""
        state, obs, count = self.envs.clone_state([0]), self.obs[:1], len(self.obs)

        def restore() -> None:
            self.envs.restore_state(list(state) * count)
            self.obs = np.repeat(obs, count, axis=0)

        return restore

    def play_episodes(self, act: Act, steps: int) -> Rollout:
        """One whole episode of each game, of at most ``steps``: where ``first`` is True."""
        self.obs, _ = self.envs.reset()
        return self.play(act, steps)


# -- plots ---------------------------------------------------------------------------------------


def band(axis: Axes, x: Array | Sequence[float], runs: Any, label: str) -> None:
    """The mean of ``runs`` ``(seeds, len(x))`` as a line, and from least to most as a band."""
    runs = np.asarray(runs, float)
    (line,) = axis.plot(x, runs.mean(0), label=f"{label} ({len(runs)} seeds)")
    axis.fill_between(x, runs.min(0), runs.max(0), color=line.get_color(), alpha=0.2, linewidth=0)


def means(ended: list[Array], each: int) -> list[float]:
    """The mean of all that is in the first ``each`` arrays, of the next ones, and so on; NaN where
    there is nothing."""
    parts = (np.concatenate(ended[i : i + each]) for i in range(0, len(ended), each))
    return [float(part.mean()) if len(part) else np.nan for part in parts]


def smooth(y: Sequence[float], width: int = 5) -> Array:
    """The mean of each number and up to ``width - 1`` before it."""
    return np.array([np.mean(y[max(0, i - width + 1) : i + 1]) for i in range(len(y))])


def figure(columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A picture with so many plots side by side."""
    made = Figure(figsize=(4.6 * columns, 3.4), layout="constrained")
    axes = made.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return made, list(axes)


def save(made: Figure, out: Path) -> None:
    """Write the plot as SVG (or what the name says); the same numbers make the same file."""
    for axis in made.axes:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize="small", framealpha=0.6)
    with matplotlib.rc_context({"svg.hashsalt": "guide", "svg.fonttype": "none"}):
        kind = out.suffix.removeprefix(".")
        metadata = {"Date": None} if kind == "svg" else None
        replace_file(out, lambda file: made.savefig(file, format=kind, metadata=metadata, dpi=90))
    print(f"{out} after {time.perf_counter() - _STARTED:.0f} s")


_STARTED = time.perf_counter()
