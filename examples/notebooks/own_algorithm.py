# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Write your own algorithm
#
# An algorithm is a few small classes that say what is learned. Environments, checkpoints,
# evaluation and commands come with `mario_agents`. Here it is **expected SARSA** with replay,
# which the library does not have, in about 60 lines.

# %%
# On Colab this installs the project, and takes some minutes: the console is compiled. Elsewhere it
# does nothing. REPOSITORY is the address of the repository.
import subprocess
import sys

if "google.colab" in sys.modules:
    package = "mario-envkit[agents] @ git+REPOSITORY"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)

# %%
# Parameters. With MARIO_NOTEBOOK_QUICK=1 in the environment everything is as short as possible,
# which is how the tests run this notebook.
import os

QUICK = os.environ.get("MARIO_NOTEBOOK_QUICK") == "1"
STEPS = 2_048 if QUICK else 60_000

# %% [markdown]
# ## The method
#
# DQN asks what the *best* next action is worth. Expected SARSA asks what the next action is
# worth *on average*, if the agent goes on as it explores, at random with probability
# $\varepsilon$:
#
# $$y = r + \gamma \left[ (1 - \varepsilon) \max_a Q(s', a)
#     + \varepsilon \, \mathrm{mean}_a \, Q(s', a) \right]$$
#
# So it knows that its own random steps are dangerous near a pit, and keeps away from it.

# %% [markdown]
# ## Options, networks and loss
#
# A field with a text below it is an option of the command line. A learner turns a batch into a
# loss; it has no optimizer.

# %%
import copy
import dataclasses
from typing import Literal

import numpy as np
import torch
from torch import nn

from mario_agents.config import Fraction, PositiveFloat, TrainConfig
from mario_agents.core.types import Learner
from mario_agents.nn.flat import TileEncoder
from mario_agents.nn.init import seeded
from mario_agents.ops.averages import polyak_update
from mario_agents.telemetry.schema import rolling


@dataclasses.dataclass(frozen=True, kw_only=True)
class SarsaConfig(TrainConfig):
    observation: Literal["pixels", "tiles"] = "tiles"
    num_envs: int = 16
    lr: PositiveFloat = 5e-4
    """Learning rate."""
    gamma: Fraction = 0.9
    """Discount for each agent step."""
    epsilon: Fraction = 0.1
    """Probability of a random action."""


class SarsaModel(nn.Module):
    def __init__(self, spaces):
        super().__init__()
        self.online = nn.Sequential(
            TileEncoder(spaces.obs_shape, 128), nn.Linear(128, spaces.actions)
        )
        self.target = copy.deepcopy(self.online).requires_grad_(False)


class SarsaLearner(Learner):
    def __init__(self, model, epsilon):
        self.model, self.epsilon = model, epsilon

    def compute_loss(self, batch):
        q = self.model.online(batch["obs"]).gather(1, batch["action"][:, None]).squeeze(1)
        with torch.no_grad():
            after = self.model.target(batch["next_obs"])
            expected = (1 - self.epsilon) * after.amax(1) + self.epsilon * after.mean(1)
            wanted = batch["reward"] + batch["discount"] * expected
        loss = (wanted - q).square().mean()
        return loss, {"loss": loss.detach(), "q_mean": q.detach().mean()}

    def after_update(self):
        polyak_update(self.model.target.parameters(), self.model.online.parameters(), 0.01)


# %% [markdown]
# ## Play
#
# A policy is given the observations of all games, and says in which `mode` it plays: exploring,
# sampled, or greedy.

# %%
from mario_agents.core.policy import SeededPolicy


class SarsaPolicy(SeededPolicy):
    def __init__(self, model, epsilon, seed, device):
        super().__init__(seed)  # of self._rng
        self.model, self.epsilon, self.device = model, epsilon, device

    def act(self, obs, state, is_first, *, mode, step):
        q = self.model.online(obs)
        random = torch.rand(len(obs), generator=self._rng) < (
            0.0 if mode == "greedy" else self.epsilon
        )
        anything = torch.randint(q.shape[1], (len(obs),), generator=self._rng)
        return torch.where(random, anything, q.argmax(1)), {}, state


# %% [markdown]
# ## Put together
#
# Storage, replay and optimizer are the library's. Each method makes one part.

# %%
from mario_agents.core.algorithm import Algorithm
from mario_agents.core.optimizers import adamw
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.replay.selectors import UniformSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import TransitionReplay


class SarsaAlgorithm(Algorithm):
    config_class = SarsaConfig
    metrics = (
        rolling("loss", "mean squared error of the values", headline=True),
        rolling("q_mean", "mean value of the actions taken"),
    )

    def learner(self, config, spaces):
        with seeded(config.seed):
            return SarsaLearner(SarsaModel(spaces), config.epsilon)

    def policy(self, config, learner, context):
        seed = context.seed_for("actions")
        return SarsaPolicy(learner.model, config.epsilon, seed, context.device)

    def collect_steps(self, config):
        return 64

    def dataset(self, config, learner, spaces, context):
        storage = Storage(50_000, config.num_envs, spaces.obs_shape, workers=context.shards)
        return TransitionReplay(
            storage,
            UniformSelector(storage, np.random.default_rng(context.seed_for("replay"))),
            n_step=3,
            gamma=config.gamma,
            batch_size=64,
            learning_starts=1_000,
            train_every=8,
            save=False,
        )

    def updater(self, config, learner):
        group = ParameterGroup(
            learner.model.online.parameters(),
            lr=lambda _: config.lr,
            clip=clip_by_global_norm(10.0),
        )
        return Updater(learner, adamw(), group)


# %% [markdown]
# ## Train
#
# In a notebook the algorithm is trained in this process. `eval_interval=0`: other processes
# could not import a class that is defined here, so nothing is evaluated beside training. The cell
# shows nothing until it has finished.

# %%
import time
from pathlib import Path

from mario_agents.run import RunDir
from mario_agents.runtime.run import train

RUN = Path("runs") / time.strftime("own-algorithm-%H%M%S")
config = SarsaConfig(
    total_steps=STEPS,
    eval_interval=0,
    ui=False,
    device="cpu",
    snapshots=False,
    actions="right_only",
)
train(SarsaAlgorithm(), config, RunDir.create(RUN, trainer="sarsa", config=config), resume=False)

# %% [markdown]
# `episode_x` is how far Mario came in an episode; the flag is at 3,161. `q_mean` is what the agent
# expects of the actions that it takes, and grows with what it gets.

# %%
import matplotlib.pyplot as plt

from mario_agents.report.rundata import RunData

data = RunData.load(RUN)
figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
for axis, name in zip(axes, ("episode_x", "q_mean"), strict=True):
    curve = data.curve(name)
    axis.plot(curve.steps, curve.values)
    axis.set(xlabel="agent steps", ylabel=name)
plt.show()

# %% [markdown]
# ## As a plug-in
#
# Put the classes into a file `sarsa.py` of a package of yours, end it with
#
# ```python
# TRAINER = AlgorithmTrainer(SarsaAlgorithm(), "Expected SARSA with replay.")
# ```
#
# and name it in the package's `pyproject.toml`:
#
# ```toml
# [project.entry-points."mario_envkit.trainers"]
# sarsa = "sarsa:TRAINER"
# ```
#
# After `pip install -e .` there is `mario-agents train sarsa --level 1-1 --workers 2`, and
# `eval`, `watch`, `record` and `report` work. `examples/plugin` is such a package, and
# `docs/pages/how-to/add-an-algorithm.md` explains every part.
