"""What each network of ``mario_agents/nn/registry.py`` costs PPO, on every device that is there.

The classes are those that train, observations come from the memory of the machine and go to the
device as in training; games and the optimizer are left out. A rollout's step is one observation
judged among 64 and learned from three times in minibatches of 256, the defaults of ``ppo``.

``python -m tests.benchmarks.networks --help`` says what can be chosen.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, get_args

import numpy as np
import torch

from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import Precision
from mario_agents.core.algorithm import Spaces
from mario_agents.core.gradients import GradientComputer
from mario_agents.nn.device import fast_bfloat16
from mario_agents.nn.registry import NetworkName, Observation
from mario_envkit.game import tiles

PLAYED, LEARNED, EPOCHS, ACTIONS = PPOConfig().num_envs, 256, 3, 7
SECONDS = 0.3
"""Time for repeating a measurement; what takes longer than ``LONG`` is measured once."""
LONG = 1.0

SCREENS: dict[str, tuple[Observation, tuple[int, ...]]] = {
    "pixels 84x84 x4": ("pixels", (4, 84, 84)),
    "pixels 52x64 x4": ("pixels", (4, 52, 64)),
    "pixels 52x64 x2": ("pixels", (2, 52, 64)),
    "tiles x2": ("tiles", (2, *tiles.SHAPE)),
}


class Row(NamedTuple):
    """One line of the table."""

    screen: str
    network: NetworkName
    precision: Precision
    channels_last: bool


def rows(device: torch.device, *, everything: bool) -> Iterator[Row]:
    """All that can be combined; of what takes minutes only if ``everything`` is wanted."""
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    if not everything and not fast_bfloat16(device):
        precisions = ("float32",)
    networks: tuple[NetworkName, ...] = get_args(NetworkName)
    for screen, network in product(SCREENS, networks):
        if network != "mlp" and SCREENS[screen][0] == "tiles":
            continue
        if network == "impala-large" and device.type == "cpu" and not everything:
            continue
        layouts = (False,) if network == "mlp" else (False, True)
        yield from (Row(screen, network, *each) for each in product(precisions, layouts))


def fastest(call: Callable[[], object], device: torch.device, *, compiled: bool) -> float:
    """Milliseconds that a call takes undisturbed, with all that it leaves the device to do."""

    def once() -> float:
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    first = once()  # warms up
    if first > LONG and not compiled and device.type == "cpu":
        return first * 1e3
    best, end = once(), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        best = min(best, once())
    return best * 1e3


def batch_of(shape: tuple[int, ...]) -> dict[str, np.ndarray[Any, Any]]:
    """A minibatch of PPO: random observations and actions, and advantages of either sign."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(4, LEARNED)).astype(np.float32)
    steps = {
        "obs": observations(LEARNED, shape),
        "is_first": np.zeros(LEARNED, np.bool_),
        "action": rng.integers(ACTIONS, size=LEARNED),
        "old_log_prob": np.full(LEARNED, -np.log(ACTIONS), np.float32),
        "advantage": numbers[0],
        "old_value": numbers[1],
        "value_target": numbers[2],
        "entropy_coef": np.full(LEARNED, 0.01, np.float32),
    }
    return {name: column[None] for name, column in steps.items()}


def observations(count: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Random ones; a network is as fast with bytes that no game would show."""
    return np.random.default_rng(1).integers(256, size=(count, *shape), dtype=np.uint8)


def measure(row: Row, device: torch.device, *, compiled: bool) -> str:
    """The figures of a row as text."""
    observation, shape = SCREENS[row.screen]
    config = PPOConfig(
        observation=observation,
        network=row.network,
        precision=row.precision,
        channels_last=row.channels_last,
        compile=compiled,
        device=device.type,
    )
    learner = PPOAlgorithm().learner(config, Spaces(shape, ACTIONS))
    learner.model.to(device)
    size = sum(parameter.numel() for parameter in learner.model.parameters())
    gradients, batch = GradientComputer(learner, device), batch_of(shape)
    obs = torch.as_tensor(observations(PLAYED, shape))[None]
    first = torch.zeros(1, PLAYED, dtype=torch.bool)

    def play() -> None:
        with torch.no_grad():
            learner.evaluate(obs.to(device), {}, first.to(device)).logits.cpu()

    def learn() -> None:
        gradients.add(batch)
        gradients.take()

    playing = fastest(play, device, compiled=compiled)
    learning = fastest(learn, device, compiled=compiled)
    steps = 1e3 / (playing / PLAYED + EPOCHS * learning / LEARNED)
    return f"{size:>11,}  {playing:>8.2f}  {learning:>9.2f}  {steps:>9,.0f}"


def table(device: torch.device, *, compiled: bool, everything: bool) -> None:
    """Measure and print all rows for a device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    usual = "fast" if fast_bfloat16(device) else "not in hardware"
    print(f"{name}{threads}, torch {torch.__version__}, bfloat16 {usual}, compile {compiled}")
    print(
        f"{'observation':<16} {'network':<13} {'precision':<9} {'layout':<14} "
        f"{'parameters':>11}  {f'{PLAYED} in ms':>8}  {f'{LEARNED} in ms':>9}  {'steps/s':>9}"
    )
    for row in rows(device, everything=everything):
        layout = "channels last" if row.channels_last else "as it comes"
        begin = f"{row.screen:<16} {row.network:<13} {row.precision:<9} {layout:<14} "
        print(begin + measure(row, device, compiled=compiled), flush=True)


def main(arguments: Sequence[str] = ()) -> None:
    """Print a table for each device; ``arguments`` are those of the command line."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.networks", description=__doc__)
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument(
        "--all",
        action="store_true",
        help="on a CPU also impala-large, and bfloat16 where it is not in hardware: minutes more",
    )
    parser.add_argument(
        "--threads", type=int, default=PPOConfig().torch_threads, help="of PyTorch on the CPU"
    )
    chosen = parser.parse_args(arguments)
    before = torch.get_num_threads()
    torch.set_num_threads(chosen.threads)
    print(
        f"{PLAYED} observations judged, {LEARNED} learned from (forward and backward); steps/s of "
        f"PPO with {EPOCHS} epochs if there were no games and no optimizer"
    )
    for device in ["cpu"] + ["cuda"] * torch.cuda.is_available():
        table(torch.device(device), compiled=chosen.compile, everything=chosen.all)
    torch.set_num_threads(before)


if __name__ == "__main__":
    main(sys.argv[1:])
