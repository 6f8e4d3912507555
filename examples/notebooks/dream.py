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
# # Look into a dream of Dreamer
#
# DreamerV3 learns a model of the game and trains its actor inside it. Here you train a small
# one for some minutes, and then compare the game with what the model sees of it, and with what
# it expects without looking.

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
MINUTES = 4
SEEN, AHEAD = 20, 24

# %% [markdown]
# ## Train
#
# The preset for CPUs, from tiles, in one process. Four minutes are too short to reach the flag,
# and long enough for a first idea of the level. The cell shows nothing until it has finished. On
# a GPU take `--preset pixels-gpu`.

# %%
import time
from pathlib import Path

RUN = Path("runs") / time.strftime("dream-%H%M%S")
budget = ["--total-steps", "1152"] if QUICK else ["--max-minutes", str(MINUTES)]
train = ["train", "dreamer", "--preset", "tiles-cpu", "--workers", "0", "--run-dir", str(RUN)]
train += ["--eval-interval", "0", "--no-ui", *budget]
done = subprocess.run(
    [sys.executable, "-m", "mario_agents.cli", *train], capture_output=True, text=True
)
print((done.stdout + done.stderr)[-1500:])
done.check_returncode()

# %% [markdown]
# `wm_recon_mse` is how wrong the model is about what it sees, `kl_dynamics` how far what it
# expected was from what it then saw, and `episode_x` how far Mario came in an episode. Look at
# the number of steps as well: on a busy machine that made 1,400 of them in four minutes, all
# pictures of the model below were noise. Then give it more `MINUTES`.

# %%
import matplotlib.pyplot as plt

from mario_agents.report.rundata import RunData

data = RunData.load(RUN)
figure, axes = plt.subplots(1, 3, figsize=(13, 3), layout="constrained")
for axis, name in zip(axes, ("wm_recon_mse", "kl_dynamics", "episode_x"), strict=True):
    curve = data.curve(name)
    axis.plot(curve.steps, curve.values)
    axis.set(xlabel="agent steps", ylabel=name)
plt.show()

# %% [markdown]
# ## Play, and keep what was seen and done
#
# For `SEEN` steps the model looks; then `AHEAD` further ones are played that it does not see.

# %%
import gymnasium
import numpy as np
import torch

import mario_envkit  # noqa: F401  (registers the environments)
from mario_agents.commands.stored_run import StoredRun

stored = StoredRun.open(RUN)
kwargs = stored.trainer.env_kwargs(stored.config)
policy = stored.trainer.load_policy(stored.config, RUN, device="cpu", weights="latest").policy
env = gymnasium.make("MarioTrain-v0", **kwargs)


def episode(seed):
    """Observations and actions of the beginning of an episode; the belief after ``SEEN`` steps."""
    observation, _ = env.reset(seed=seed)
    state, first = policy.initial(1), torch.ones(1, dtype=torch.bool)
    observations, actions, beliefs = [], [], []
    for _ in range(SEEN + AHEAD):
        beliefs.append(state)
        action, _, state = policy.act(
            torch.from_numpy(observation[None]), state, first, mode="sample", step=0
        )
        observations.append(observation)
        actions.append(int(action))
        observation, _, terminated, truncated, _ = env.step(int(action))
        first[:] = False
        if terminated or truncated:
            break
    return np.array(observations), np.array(actions), beliefs


observations, actions, beliefs = max(map(episode, range(10)), key=lambda found: len(found[1]))
env.close()
begin = min(SEEN, len(actions) // 2)
print(f"{len(actions)} steps, of which the model sees {begin}")

# %% [markdown]
# ## The dream
#
# `policy.dream` takes the observations and actions of a stretch, and the belief before it. It
# gives what the model sees in each observation, and what it expected at each step after the
# first one, from actions alone. In the last row of the picture white tiles are those that it
# expected wrongly.

# %%
dream, _ = policy.dream(observations[begin:], actions[begin:], beliefs[begin], is_first=begin == 0)
print(dream._fields, dream[0].shape)

# %%
from mario_envkit.game.tile_picture import draw_tiles
from mario_envkit.game.tiles import GRID_ROWS

game, seen, expected = observations[begin:], dream[0], dream[1]
shown = np.unique(np.linspace(0, len(game) - 1, 5).astype(int))
figure, axes = plt.subplots(4, len(shown), figsize=(3 * len(shown), 9), squeeze=False)
for column, step in enumerate(shown):
    off = game[step, :GRID_ROWS] != expected[step, :GRID_ROWS]
    pictures = [draw_tiles(each[step]) for each in (game, seen, expected)]
    pictures.append(off.repeat(16, 0).repeat(16, 1))
    for row, (name, picture) in enumerate(
        zip(("game", "what it sees", "what it expected", "difference"), pictures, strict=True)
    ):
        axes[row, column].imshow(picture, cmap="gray")
        axes[row, column].set_xticks([])
        axes[row, column].set_yticks([])
        axes[0, column].set_title(f"{step} steps ahead")
        axes[row, 0].set_ylabel(name)
plt.show()

# %% [markdown]
# ## How far does it see?
#
# The share of tiles that are wrong, beside somebody who expects that nothing changes.

# %%
grid = game[:, :GRID_ROWS]
for name, said in {
    "the dream": expected[:, :GRID_ROWS],
    "seeing each step": seen[:, :GRID_ROWS],
    "nothing changes": grid[:1].repeat(len(grid), 0),
}.items():
    plt.plot(100 * (said != grid).mean((1, 2)), label=name)
plt.xlabel("steps ahead")
plt.ylabel("wrong tiles, %")
plt.legend()
plt.show()

# %% [markdown]
# ## Next
#
# - Train for longer: `mario-agents train --resume runs/RUN --max-minutes 20`, then run the
#   cells from "Play" on again.
# - `mario-agents record runs/RUN --dream` films this beside the game.
# - The guide explains world models (`docs/pages/learn/12-world-models.md`) and DreamerV3
#   (`13-dreamerv3.md`).
