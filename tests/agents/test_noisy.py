"""Noise in the weights, against the weights that it stands for."""

from __future__ import annotations

import torch

from mario_agents.nn.noisy import NoisyLinear, draw_noise


def test_it_is_a_linear_layer_with_other_weights_for_each_game():
    rng = torch.Generator().manual_seed(0)
    layer, x = NoisyLinear(4, 3), torch.randn(7, 2, 4, generator=rng)
    torch.nn.init.normal_(layer.sigma)
    torch.nn.init.normal_(layer.sigma_bias)
    noise = draw_noise(2, layer.noise_size, rng)
    output = layer(x, noise)
    for game in range(2):
        into, out_of = noise[game, :4], noise[game, 4:]
        weight = layer.weight + layer.sigma * torch.outer(out_of, into)
        bias = layer.bias + layer.sigma_bias * out_of
        torch.testing.assert_close(output[:, game], x[:, game] @ weight.T + bias)
    assert torch.equal(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))


def test_noise_is_the_signed_root_of_normal_numbers():
    noise = draw_noise(400, 100, torch.Generator().manual_seed(0))
    restored = noise.sign() * noise.pow(2)
    assert abs(float(restored.mean())) < 0.02
    assert abs(float(restored.std()) - 1) < 0.02
    again = draw_noise(400, 100, torch.Generator().manual_seed(0))
    assert torch.equal(noise, again)


def test_it_learns_how_much_noise_it_wants():
    layer = NoisyLinear(4, 3, sigma=0.5)
    assert torch.equal(layer.sigma, torch.full((3, 4), 0.25))
    noise = draw_noise(2, layer.noise_size, torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad(layer(torch.ones(2, 4), noise).sum(), list(layer.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
