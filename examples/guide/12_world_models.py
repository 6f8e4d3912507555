"""Learn from recorded play what comes next, and predict up to 24 steps without looking.

Left: the error of the picture of tiles, by how many steps ago the model has seen the game for the
last time, in play that it was not trained on. Right: one example.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from dreams import (
    Sequences,
    coloured,
    draw,
    expected,
    learn_world,
    pictures,
    posterior_latents,
    record,
    small_model,
)

from mario_agents.algos.dreamer.networks import DreamerModel
from mario_agents.nn.rssm import Latent

SEEN, AHEAD = 8, 24
SHOWN = (1, 8, 16, 24)
GAME, AGAIN, MODEL, LOOKS = (
    "the game", "the last picture, again", "the world model", "the world model, seeing each step",
)  # fmt: skip


@torch.no_grad()
def predict(model: DreamerModel, test: Sequences) -> dict[str, common.Array]:
    """Pictures ``(AHEAD, B, 2, 13, 16)``: of the game, and what three who predict it say."""
    world, shape = model.world, test.action.shape
    seen = posterior_latents(model, test)
    last = Latent(*(part[SEEN - 1] for part in seen))
    imagined = expected(world.rssm, last, test.action[SEEN:])
    game = world.senses.inputs(test.obs.flatten(0, 1)).unflatten(0, shape)
    truth = pictures(model, game)
    return {
        GAME: truth[SEEN:],
        AGAIN: np.repeat(truth[SEEN - 1 : SEEN], AHEAD, axis=0),
        MODEL: pictures(model, world.senses.decoder(imagined)),
        LOOKS: pictures(model, world.senses.decoder(seen.features()[SEEN:])),
    }


def squared_error(said: common.Array, truth: common.Array) -> common.Array:
    """By step, a sum over all tiles and a mean over the sequences."""
    return ((said - truth) ** 2).sum(axis=(2, 3, 4)).mean(axis=1)


def run(seed: int, steps: int, updates: int) -> tuple[dict[str, common.Array], common.Array]:
    """Errors by step of each who predicts, and an example as a picture in colours."""
    model = small_model(seed)
    learn_world(model, record(steps, seed), updates, seed)
    test = draw(record(4_000, seed + 100), np.random.default_rng(seed), model, 400, SEEN + AHEAD)
    whole = ~(test.is_first[1:] | test.is_last[1:]).any(0)  # one episode from beginning to end
    before = Latent(*(part[whole] for part in test.before))
    said = predict(model, Sequences(before, *(part[:, whole] for part in test[1:])))
    rows = [
        [np.pad(coloured(said[name][step - 1, 0]), EDGE, constant_values=1) for step in SHOWN]
        for name in (GAME, MODEL)
    ]
    example = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    errors = {name: squared_error(said[name], said[GAME]) for name in (AGAIN, MODEL, LOOKS)}
    return errors, example


EDGE = ((0, 3), (0, 2), (0, 0))


def main() -> None:
    chosen = common.options(__doc__, seeds=2)
    made, (left, right) = common.figure(2)
    sizes = (1_000, 5) if chosen.quick else (24_000, 800)
    ((_, found),) = common.repeat(run, chosen.seeds, {"": sizes})
    for name in (AGAIN, MODEL, LOOKS):
        errors = [each[name] for each, _ in found]
        common.band(left, np.arange(1, AHEAD + 1), errors, name)
        means = np.mean(errors, axis=0)
        print(f"{name}: error {[round(float(means[step - 1]), 1) for step in SHOWN]} at {SHOWN}")
    left.set(xlabel="steps ahead", ylabel="squared error of the picture", ylim=(0, None))
    right.imshow(found[0][1])
    right.set_xticks([8, 26, 44, 62], ["1 step", "8 steps", "16 steps", "24 steps"])
    right.set_yticks([6, 22], ["game", "model"])
    right.grid(visible=False)
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
