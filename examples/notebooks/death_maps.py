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
# # Where Mario dies, and how to practise there
#
# An agent that dies at the same pit a hundred times spends nearly all of its time on the way to
# it. Here you collect where somebody dies, draw it, and let the environment go back to a
# snapshot from just before.

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
LEVEL = "1-1"
STEPS = 3_000 if QUICK else 40_000

# %% [markdown]
# ## A player that does not look
#
# It runs to the right, jumps now and then, and holds what it does for some steps. Sixteen games
# are stepped together.

# %%
import gymnasium
import numpy as np

import mario_envkit  # noqa: F401  (registers the environments)
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate

GAMES = 16


def play(env_id, **options):
    """Where each step was, and all deaths."""
    envs = gymnasium.make_vec(
        env_id,
        num_envs=GAMES,
        level=LEVEL,
        actions="right_only",
        observation="tiles",
        frame_skip=4,
        autoreset_mode="SameStep",
        **options,
    )
    rng, held = np.random.default_rng(0), np.ones(GAMES, int)
    deaths, places = DeathHotspotAggregate(), []
    envs.reset(seed=0)
    for _ in range(STEPS // GAMES):
        held = np.where(rng.random(GAMES) < 0.25, rng.choice([1, 2, 3, 4, 4], GAMES), held)
        _, _, terminated, truncated, infos = envs.step(held)
        places.append(np.array(infos["x_pos"]))
        for game in np.flatnonzero(terminated | truncated):
            last = infos["final_info"]
            if last["life_lost"][game]:
                deaths.record_death(LEVEL, int(last["x_pos"][game]))
        for game in np.flatnonzero(infos.get("snapshot_restored", np.zeros(GAMES, bool))):
            deaths.record_death(LEVEL, int(infos["life_lost_info"]["x_pos"][game]))
    envs.close()
    return np.concatenate(places), deaths


places, deaths = play("MarioTrain-v0")
print(f"{deaths.deaths(LEVEL)} deaths in {len(places)} steps; most of them at")
for x, count in deaths.get_hotspots(LEVEL)[:5]:
    print(f"  x = {x}: {count}")

# %% [markdown]
# ## The map
#
# Below the deaths is where the steps were spent. Most of them are on the same first screens. The
# highest bar of deaths is the first enemy; the high bars of steps are in front of pipes.

# %%
import matplotlib.pyplot as plt


def draw(places, deaths, title):
    _, (above, below) = plt.subplots(2, 1, figsize=(12, 4), sharex=True)
    spots = deaths.get_hotspots(LEVEL, min_deaths=1)
    above.bar([x for x, _ in spots], [count for _, count in spots], width=14, color="crimson")
    above.set(ylabel="deaths", title=title)
    below.hist(places, bins=np.arange(0, 3_300, 32), color="steelblue")
    below.set(ylabel="steps", xlabel="x, pixels")
    plt.show()


draw(places, deaths, f"{LEVEL}, from the start each time")

# %% [markdown]
# ## With snapshots
#
# `MarioSnapshot-v0` is the same game, but it saves the console now and then, and goes back to a
# snapshot before the place of a death. The player is the same, with the same random numbers.

# %%
practised, more_deaths = play("MarioSnapshot-v0")
draw(practised, more_deaths, f"{LEVEL}, with snapshots")
for name, where in (("from the start", places), ("with snapshots", practised)):
    share = 100 * np.mean(where > 1_000)
    print(f"{name}: farthest x {where.max()}, {share:.1f} % of the steps beyond x = 1,000")

# %% [markdown]
# ## Next
#
# - Trainers do this by default: `--no-snapshots` turns it off, and `docs/pages/results.md` says
#   when it helped.
# - `deaths.save(path)` and `mario-envkit map` draw deaths on a panorama of the level, from your
#   own copy of the game.
# - `docs/pages/how-to/practise.md` has all options.
