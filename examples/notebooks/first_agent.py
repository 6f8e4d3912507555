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
# # Your first agent in five minutes
#
# Train an agent on level 1-1, look at what it learned, and see where it still fails. All of it
# runs on a CPU with two cores.

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
MINUTES = 2
EPISODES = 2 if QUICK else 50

# %% [markdown]
# ## Train
#
# One command: 64 games at once, seen as tiles, learned from by PPO. It is the same one that you
# would type in a terminal. The cell shows nothing until it has finished, after two minutes.

# %%
import time
from pathlib import Path

RUN = Path("runs") / time.strftime("first-agent-%H%M%S")
budget = ["--total-steps", "2048", "--num-envs", "8"] if QUICK else ["--max-minutes", str(MINUTES)]
train = ["train", "ppo", "--level", "1-1", "--run-dir", str(RUN), "--no-ui", *budget]
done = subprocess.run(
    [sys.executable, "-m", "mario_agents.cli", *train], capture_output=True, text=True
)
print((done.stdout + done.stderr)[-1500:])
done.check_returncode()

# %% [markdown]
# `step` counts agent steps, of all games together. PPO reaches the flag after some 150,000 of
# them. If your machine is slow or busy and made far fewer, give it more `MINUTES`: what follows
# works all the same, but shows an agent that does not come far yet.
#
# ## What it learned
#
# A run directory holds everything that was measured. `episode_x` is how far Mario came in an
# episode; the flag is at 3,161.

# %%
import matplotlib.pyplot as plt
import numpy as np

from mario_agents.report.rundata import RunData

data = RunData.load(RUN)
curve = data.curve("episode_x")
plt.plot(curve.steps, curve.values)
plt.xlabel("agent steps")
plt.ylabel("farthest x of an episode, pixels")
plt.show()
print("measured:", ", ".join(data.measured))

# %% [markdown]
# ## Watch one episode
#
# The agent is loaded as `eval` and `watch` load it, and plays in an environment made like its
# own. The picture shows what it sees: solid tiles are grey and brown, question blocks
# and coins yellow, enemies orange, Mario blue.

# %%
import gymnasium

import mario_envkit  # noqa: F401  (registers the environments)
from mario_agents.commands.stored_run import StoredRun
from mario_envkit.game.tile_picture import draw_tiles

stored = StoredRun.open(RUN)
policy = stored.trainer.load_policy(stored.config, RUN, device="cpu", weights="latest")
env = gymnasium.make("MarioTrain-v0", **stored.trainer.env_kwargs(stored.config))


def play(sticky, seed):
    """How far Mario comes in one episode, step by step, and what the agent saw."""
    observation, info = env.reset(seed=seed)
    rng, action, over = np.random.default_rng(seed), 0, False
    policy.reset(1)
    x, seen = [info["x_pos"]], [observation]
    while not over:
        chosen = int(policy.act(observation[None], greedy=True)[0])
        action = action if rng.random() < sticky else chosen
        observation, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        x.append(info["x_pos"])
        seen.append(observation)
    return x, seen, info["ending"]


x, seen, ending = play(sticky=0.0, seed=0)
print(f"{len(x)} steps, x {x[-1]}, ending: {ending}")
figure, axes = plt.subplots(1, 4, figsize=(14, 3))
for axis, step in zip(axes, np.linspace(0, len(seen) - 1, 4).astype(int), strict=True):
    axis.imshow(draw_tiles(np.asarray(seen[step]).reshape(-1, 16, 16)[-1]))
    axis.set_title(f"step {step}, x {x[step]}")
    axis.axis("off")
plt.show()

# %% [markdown]
# ## Where it fails
#
# The console obeys perfectly, so one good sequence of buttons is enough. Let it repeat the
# action before now and then, and see which share of the episodes still reaches the flag.

# %%
for sticky in (0.0, 0.1, 0.25):
    endings = [play(sticky, seed)[2] for seed in range(EPISODES)]
    print(f"sticky {sticky}: flag in {endings.count('flag')} of {EPISODES} episodes")
env.close()

# %% [markdown]
# ## Next
#
# - `mario-agents watch runs/RUN` plays it in a window, `mario-agents report
#   runs/RUN` writes a page about it.
# - Train with a console that disobeys: `mario-agents train ppo --preset robust`.
# - Why any of this works: the guide, `docs/pages/learn`.
