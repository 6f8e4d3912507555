"""Learn to play in imagination alone: a world model of recorded play, and an actor in it.

Left: how far the actor gets in the real game, which it has never played, by updates in imagination.
Middle: what it earns in imagination. Right: what three losses make of rewards of any size.
"""

from __future__ import annotations

import common
import dreams
import numpy as np
import torch

from mario_agents.algos.dreamer.behaviour import behaviour_loss, imagine
from mario_agents.algos.dreamer.networks import DreamerModel
from mario_agents.nn.rssm import Latent
from mario_agents.ops.symlog import symexp, symlog
from mario_agents.ops.two_hot import symexp_bins, two_hot_loss, two_hot_mean
from mario_agents.replay.storage import Storage

FUTURES, HORIZON, EVERY = 64, 15, 50


def learn_to_act(model: DreamerModel, storage: Storage, updates: int, seed: int) -> common.Array:
    """Distances in the real game and returns in imagination, ``(1 + updates // EVERY, 2)``."""
    learned = torch.nn.ModuleList([model.actor, model.critic])
    optimizer, rng = common.adam(learned, 1e-3), np.random.default_rng(seed)
    chance, found = torch.Generator().manual_seed(seed), []
    for update in range(updates + 1):
        states = dreams.posterior_latents(model, dreams.draw(storage, rng, model, 16, 16))
        drawn = torch.randperm(16 * 16, generator=chance)[:FUTURES]
        start = Latent(*(part.flatten(0, 1)[drawn] for part in states))
        noise = dreams.imagination_noise(model, HORIZON, FUTURES, chance)
        futures = imagine(model, start, noise, uniform=0.01)
        loss = behaviour_loss(
            model, futures, lam=0.95, entropy_coef=1e-2, uniform=0.01, slow_regularizer=1.0,
            range_rate=0.02,
        )  # fmt: skip
        if update % EVERY == 0:
            imagined = (dreams.GAMMA ** np.arange(HORIZON)) @ futures.reward[1:].mean(1).numpy()
            found.append((dreams.distance(dreams.player(model, seed), seed), imagined))
            print(f"seed {seed}, update {update}: x {found[-1][0]:.0f}, dreamt {imagined:.1f}")
        common.descend(optimizer, loss.actor + loss.critic)
        model.update_slow_critic(0.02)
    return np.array(found)


def run(seed: int, steps: int, updates: int, acting: int) -> tuple[float, common.Array]:
    """Distance of the play that was recorded, and those of the actor."""
    storage, model = dreams.record(steps, seed), dreams.small_model(seed)
    dreams.learn_world(model, storage, updates, seed)
    return dreams.distance(dreams.Restless(seed), seed), learn_to_act(model, storage, acting, seed)


def estimates(truth: torch.Tensor, updates: int) -> dict[str, torch.Tensor]:
    """What is learned of numbers that are ``10 * truth`` once in ten times and else 0."""
    bins, rng = symexp_bins(255), torch.Generator().manual_seed(0)
    plain, logs, logits = (torch.zeros(len(truth), k).requires_grad_() for k in (1, 1, len(bins)))
    optimizer = torch.optim.Adam([plain, logs, logits], lr=0.02)
    for _ in range(updates):
        y = 10 * truth * (torch.rand(32, len(truth), generator=rng) < 0.1)
        log_probs = logits.log_softmax(-1).expand(32, -1, -1)
        errors = (plain.T - y) ** 2 + (logs.T - symlog(y)) ** 2 + two_hot_loss(log_probs, y, bins)
        optimizer.zero_grad()
        errors.mean().backward()
        optimizer.step()
    return {
        "squared error": plain[:, 0], "squared error of symlog": symexp(logs[:, 0]),
        "two-hot": two_hot_mean(logits, bins),
    }  # fmt: skip


def main() -> None:
    chosen = common.options(__doc__, seeds=2)
    made, (left, middle, right) = common.figure(3)
    truth = torch.logspace(-1, 3, 9)
    for name, found in estimates(truth, 20 if chosen.quick else 3_000).items():
        said = [float(f"{x:.2g}") for x in found.tolist()[::2]]
        print(f"{name}: {said} of 0.1, 1, 10, 100, 1000")
        right.plot(truth, found.detach().clamp(min=1e-3), marker="o", label=name)
    right.plot(truth, truth, ":", color="gray", label="the truth")
    right.set(xscale="log", yscale="log", xlabel="true mean", ylabel="learned mean")
    right.minorticks_off()
    sizes = (1_000, 2, EVERY) if chosen.quick else (24_000, 800, 200)
    ((_, runs),) = common.repeat(run, chosen.seeds, {"": sizes})
    random, found = zip(*runs, strict=True)
    print(f"recorded play: distance {np.mean(random):.0f}")
    curves, updates = np.array(found), EVERY * np.arange(len(found[0]))
    common.band(left, updates, curves[..., 0], "actor that learned in imagination")
    common.band(middle, updates, curves[..., 1], "discounted rewards of 15 imagined steps")
    middle.set(xlabel="updates in imagination", ylabel="return in imagination")
    left.axhline(np.mean(random), linestyle=":", color="gray", label="the play that was recorded")
    left.set(xlabel="updates in imagination", ylabel="distance in the game, pixels", ylim=(0, None))
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
