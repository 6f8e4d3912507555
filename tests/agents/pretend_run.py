"""``python -m tests.agents.pretend_run``: runs on a device that is not there.

This process and those that it starts have the device by the folder ``pretend_site`` on their path.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mario_agents.acting.environments import make_vector
from mario_agents.config import TrainConfig, make_config
from mario_agents.run import RunDir, read_weights
from mario_agents.run.records import read_evaluations
from mario_envkit.plugins import load_trainer
from tests.agents import pretend_device
from tests.gpu.options import known, small_options

DEVICES = (("cpu", None), (pretend_device.NAME, None), (pretend_device.NAME, "cpu"))
"""Where it learns, and where it plays."""
PIXELS = {"network": "small", "screen_size": 42}
"""Otherwise the device decides on the network."""
FEWER_UPDATES: dict[str, dict[str, Any]] = {"dreamer": {"train_ratio": 0.5}}
"""Where each is many operations, all of which go through Python here."""


def train(trainer: Any, config: TrainConfig, folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Train, go on for as long again, play a step; the weights at the end."""
    run = RunDir.create(folder, trainer=name, config=config)
    trainer.train(config, run.path, resume=False)
    if config.eval_interval:
        assert read_evaluations(run.evaluations_path)[0], "an evaluation has failed"
    # Evaluations are in a process of their own, which takes longer to start than all the rest.
    config = dataclasses.replace(config, total_steps=2 * config.total_steps, eval_interval=0)
    trainer.train(config, run.with_config(config).path, resume=True)
    policy = trainer.load_policy(config, run.path, device=config.device, weights="latest")
    envs = make_vector(trainer.env_kwargs(config), 2)
    policy.reset(2)
    for greedy in (True, False):
        policy.act(np.array(envs.reset(seed=0)[0]), greedy=greedy)
    envs.close()
    return read_weights(run)[0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.agents.pretend_run", description=__doc__)
    parser.add_argument("trainer")
    parser.add_argument("observation", choices=["tiles", "pixels"])
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--share", help="what worker processes share")
    chosen = parser.parse_args()
    trainer = load_trainer(chosen.trainer)
    options = {
        **small_options(chosen.trainer, trainer.config_class, chosen.observation),
        **(PIXELS if chosen.observation == "pixels" else {}),
        **FEWER_UPDATES.get(chosen.trainer, {}),
        "total_steps": 256,
        "eval_episodes": 1,
        "stall_limit": 20,
        "precision": "float32",
        "workers": chosen.workers,
        **({"share": chosen.share} if chosen.share else {}),
    }
    options = known(trainer.config_class, options)
    weights = []
    # Which of several workers is the first to be heard makes a difference.
    for device, actor_device in DEVICES[1:2] if chosen.workers else DEVICES:
        places = {
            "device": device,
            "actor_device": actor_device,
            # What an evaluation is like on the CPU, other tests say.
            "eval_interval": 0 if device == "cpu" else 256,
        }
        config = make_config(trainer.config_class, {**options, **places}, source="small options")
        with tempfile.TemporaryDirectory() as folder:
            weights.append(train(trainer, config, Path(folder) / "run", chosen.trainer))
    for (device, actor_device), found in zip(DEVICES, weights, strict=False):
        for name, tensor in found.items():
            if not torch.equal(tensor, weights[0][name]):
                print(f"{name} is another one with device {device} and actor device {actor_device}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
