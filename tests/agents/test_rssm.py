"""The recurrent state-space model: its own gradient, and what must not influence what."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mario_agents.nn.recurrence import recur
from mario_agents.nn.rssm import RSSM, Latent, Observed
from mario_agents.ops.categorical import mixed_probs, sample_one_hot, straight_through

STEPS, GAMES, ACTIONS, TOKENS = 6, 3, 4, 5


@pytest.fixture
def rssm() -> RSSM:
    torch.manual_seed(0)
    model = RSSM(
        ACTIONS,
        TOKENS,
        deter=8,
        hidden=6,
        stoch=3,
        classes=4,
        blocks=2,
        prior_layers=1,
        uniform=0.05,
    )
    with torch.no_grad():  # nothing is zero or one by chance
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


class Inputs:
    """Random sequences; the second game begins anew at step 2."""

    def __init__(self, rssm: RSSM) -> None:
        one_hot = functional.one_hot(torch.randint(4, (GAMES, 3)), 4)
        self.before = Latent(torch.randn(GAMES, 8).tanh(), one_hot.flatten(1).float())
        self.action = torch.randint(ACTIONS, (STEPS, GAMES))
        self.is_first = torch.zeros(STEPS, GAMES, dtype=torch.bool)
        self.is_first[2, 1] = True
        self.tokens = torch.randn(STEPS, GAMES, TOKENS, requires_grad=True)
        self.noise = torch.rand(STEPS, GAMES, 3)

    def observed(self, rssm: RSSM) -> Observed:
        return rssm.observe(self.before, self.action, self.is_first, self.tokens, self.noise)


def plainly(rssm: RSSM, given: Inputs) -> Observed:
    """The published unit, one game and one block at a time, by autograd."""

    def norm(x: Tensor, scale: Tensor) -> Tensor:
        return functional.silu(x / (x.square().mean() + 1e-4).sqrt() * scale)

    def game(index: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        deter, stoch = (part[index] for part in given.before)
        path = []
        for step in range(STEPS):
            first = bool(given.is_first[step, index])
            action = functional.one_hot(given.action[step, index], ACTIONS).float() * (not first)
            deter, stoch = deter * (not first), stoch * (not first)
            x = [
                norm(rssm.from_deter(deter), rssm.scales[0]),
                norm(rssm.from_stoch(stoch), rssm.scales[1]),
                norm(rssm.by_action[0](action), rssm.by_action[1].scale),
            ]
            shared = rssm.shared(torch.cat(x[:2])) + rssm.by_action[2](x[2])
            own = [part @ block for part, block in zip(deter.chunk(2), rssm.own, strict=True)]
            hidden = norm(torch.cat(own) + shared, rssm.hidden_scale)
            new = []
            for block, part in enumerate(hidden.chunk(2)):
                bias = rssm.gates_bias.chunk(2)[block]
                reset, candidate, update = (part @ rssm.gates[block] + bias).chunk(3)
                candidate = torch.tanh(torch.sigmoid(reset) * candidate)
                share = torch.sigmoid(update - 1)
                new.append(share * candidate + (1 - share) * deter.chunk(2)[block])
            deter = torch.cat(new)
            looked = norm(
                rssm.remembered @ deter + rssm.seen(given.tokens[step, index]),
                rssm.posterior_scale,
            )
            probs = mixed_probs(rssm.posterior_head(looked).view(3, 4), 0.05)
            stoch = straight_through(sample_one_hot(probs, given.noise[step, index]), probs)
            stoch = stoch.flatten()
            path.append((deter, stoch, probs))
        return path

    paths = [game(index) for index in range(GAMES)]
    deter, stoch, probs = (
        torch.stack([torch.stack([step[part] for step in path]) for path in paths], dim=1)
        for part in range(3)
    )
    return Observed(Latent(deter, stoch), probs)


def test_states_and_gradients_are_those_of_the_plain_unit(rssm: RSSM) -> None:
    given = Inputs(rssm)
    leaves = [p for n, p in rssm.named_parameters() if not n.startswith("prior")]
    leaves.append(given.tokens)
    results, gradients = [], []
    outer = [torch.randn(STEPS, GAMES, *shape) for shape in ((8,), (12,), (3, 4))]
    for observed in (given.observed(rssm), plainly(rssm, given)):
        parts = [*observed.latent, observed.posterior]
        results.append(parts)
        total = sum((part * weight).sum() for part, weight in zip(parts, outer, strict=True))
        gradients.append(torch.autograd.grad(total, leaves))
    torch.testing.assert_close(*results)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_games_do_not_influence_one_another_nor_what_was_before_a_beginning(rssm: RSSM) -> None:
    given = Inputs(rssm)
    deter = given.observed(rssm).latent.deter
    (by_tokens,) = torch.autograd.grad(deter[:, 1].sum(), given.tokens)
    assert by_tokens[:, [0, 2]].abs().sum() == 0
    late = given.observed(rssm).latent
    (by_tokens,) = torch.autograd.grad(
        late.deter[2:, 1].sum() + late.stoch[2:, 1].sum(), given.tokens
    )
    assert by_tokens[:2].abs().sum() == 0
    assert by_tokens[2, 1].abs().sum() > 0
    other = Inputs(rssm)
    other.tokens, other.noise = given.tokens, given.noise
    other.action = given.action.clone()
    other.action[:3] = (other.action[:3] + 1) % ACTIONS
    other.is_first = given.is_first
    changed = other.observed(rssm).latent
    assert torch.equal(changed.deter[2:, 1], deter[2:, 1])  # another past, the same game
    assert not torch.equal(changed.deter[2:, 0], deter[2:, 0])


def test_one_step_at_a_time_is_the_same(rssm: RSSM) -> None:
    given = Inputs(rssm)
    whole, latent = given.observed(rssm).latent, given.before
    effects, weights = rssm.effects(), rssm.weights(torch.float32)
    with torch.no_grad():
        for step in range(STEPS):
            here = slice(step, step + 1)
            one = rssm.observe(
                latent,
                given.action[here],
                given.is_first[here],
                given.tokens[here],
                given.noise[here],
            )
            if not given.is_first[step].any():
                advanced = recur(weights, *latent, effects[given.action[step]]).deter
                torch.testing.assert_close(advanced, one.latent.deter[0])
            latent = Latent(*(part[0] for part in one.latent))
            torch.testing.assert_close(latent, Latent(*(part[step] for part in whole)))


def test_the_likeliest_state_needs_no_noise(rssm: RSSM) -> None:
    given = Inputs(rssm)
    observed = rssm.observe(given.before, given.action, given.is_first, given.tokens, None)
    picked = observed.latent.stoch.view(STEPS, GAMES, 3, 4).argmax(-1)
    assert torch.equal(picked, observed.posterior.argmax(-1))
