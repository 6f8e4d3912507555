"""The learner, the updater and the networks: do they learn what is there to learn?"""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.algos.dqn.learner import DDQNLearner
from mario_agents.algos.dqn.loss import ddqn_loss
from mario_agents.algos.dqn.networks import DoubleDQN, QNetwork
from mario_agents.algos.dqn.policy import DQNPolicy, epsilon_greedy
from mario_agents.core.gradients import GradientComputer, trainable
from mario_agents.core.optimizers import adamw
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.nn.encoders import NatureEncoder
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.ops.schedules import cosine_with_warmup
from mario_agents.replay.selectors import PrioritizedSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import TransitionReplay
from mario_agents.testing.corridor import CORRIDOR, corridor_q

CPU = torch.device("cpu")


def an_updater(learner: DDQNLearner, lr: float = 1e-3, end: float = 1e-4, total: int = 100):
    schedule = cosine_with_warmup(lr, end, warmup=0, total=total)
    clip = clip_by_global_norm(10.0)
    return Updater(
        learner, adamw(), ParameterGroup(learner.model.parameters(), lr=schedule, clip=clip)
    )


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def small_network(actions: int = 3) -> QNetwork:
    return QNetwork(NatureEncoder((4, 36, 36)), actions, hidden=16, q_scale=20.0)


def a_batch(size: int = 8, discount: float = 0.9) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    shape = (size, 4, 36, 36)
    return {
        "obs": torch.randint(256, shape, generator=generator).to(torch.uint8),
        "next_obs": torch.randint(256, shape, generator=generator).to(torch.uint8),
        "action": torch.randint(3, (size,), generator=generator),
        "reward": torch.randn(size, generator=generator),
        "discount": torch.full((size,), discount),
        "weight": torch.ones(size),
        "index": torch.arange(size),
    }


def test_the_84x84_network_has_the_layers_of_the_papers():
    network = QNetwork(NatureEncoder((4, 84, 84)), 7, hidden=256, q_scale=50.0)
    assert network.encoder.features == 64 * 7 * 7  # Mnih et al. 2015
    shapes = [tuple(p.shape) for n, p in network.encoder.named_parameters() if "weight" in n]
    assert shapes == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3)]
    assert network.head.advantage[2].out_features == 7
    assert network.head.value[2].out_features == 1


def test_dueling_head_combines_value_and_mean_free_advantages():
    network = small_network()
    obs = a_batch()["obs"]
    features = network.encoder(obs)
    value, advantage = network.head.value(features), network.head.advantage(features)
    free = value + advantage - advantage.mean(dim=1, keepdim=True)
    assert torch.allclose(network(obs), free / (1 + free.abs() / 20.0))


def test_values_stay_within_the_scale_whatever_the_weights():
    network = small_network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(50)
    assert network(a_batch()["obs"]).abs().max() <= 20.0


def test_loss_matches_the_definition_one_transition_at_a_time():
    model = DoubleDQN(small_network())
    with torch.no_grad():  # so that the two networks disagree
        for parameter in model.target.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    batch = a_batch()
    batch["weight"] = torch.linspace(0.2, 1.0, 8)
    batch["discount"][::3] = 0.0
    loss, q, error, values = ddqn_loss(model, batch, huber=1.0)
    expected = []
    for i in range(8):
        one = {name: value[i : i + 1] for name, value in batch.items()}
        best = int(model(one["next_obs"])[0].argmax())
        future = model(one["next_obs"], network="target")[0, best]
        target = (one["reward"] + one["discount"] * future).item()
        taken = model(one["obs"])[0, int(one["action"])].item()
        delta = abs(target - taken)
        assert float(q[i]) == pytest.approx(taken, abs=1e-5)
        assert float(error[i]) == pytest.approx(target - taken, abs=1e-5)
        huber = 0.5 * delta**2 if delta < 1 else delta - 0.5
        expected.append(float(one["weight"]) * huber)
    assert loss.item() == pytest.approx(np.mean(expected), abs=1e-5)
    assert torch.equal(values, model(batch["obs"]))


def test_gradients_reach_the_online_network_only():
    learner = DDQNLearner(DoubleDQN(small_network()), tau=0.01)
    loss, metrics = learner.compute_loss(a_batch())
    loss.backward()
    assert all(p.grad is not None for p in learner.model.online.parameters())
    assert all(p.grad is None for p in learner.model.target.parameters())
    assert metrics["priority"].shape == (8,)
    assert not any(value.requires_grad for value in metrics.values())


def test_updates_lower_the_loss_on_a_fixed_batch():
    learner = DDQNLearner(DoubleDQN(small_network()), tau=0.01)
    updater = an_updater(learner)
    batch = a_batch(discount=0.0)
    losses = []
    for _ in range(60):
        loss, _ = learner.compute_loss(batch)
        updater.apply(torch.autograd.grad(loss, trainable(learner.model)))
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


def test_targets_follow_by_tau():
    model = DoubleDQN(small_network())
    before = [p.clone() for p in model.target.parameters()]
    with torch.no_grad():
        for parameter in model.online.parameters():
            parameter.add_(1.0)
    DDQNLearner(model, tau=0.25).after_update()
    for old, new in zip(before, model.target.parameters(), strict=True):
        assert torch.allclose(new, old + 0.25, atol=1e-6)


def test_epsilon_greedy():
    q = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]]).repeat(3000, 1)
    rng = torch.Generator().manual_seed(0)
    assert epsilon_greedy(q, 0.0, rng)[:2].tolist() == [1, 0]
    share = torch.bincount(epsilon_greedy(q, 1.0, rng), minlength=3) / len(q)
    assert share.tolist() == pytest.approx([1 / 3] * 3, abs=0.03)
    greedy = (epsilon_greedy(q, 0.3, rng) == q.argmax(dim=1)).float().mean()
    assert greedy.item() == pytest.approx(0.7 + 0.3 / 3, abs=0.03)


class Table(nn.Module):
    """A value for each place and action: reads the place off the brightness of the last frame."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self.q = nn.Parameter(torch.zeros(places, 3))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        return self.q[obs[:, -1, 0, 0].long() // 20]


@pytest.mark.slow
def test_the_whole_machinery_finds_the_optimal_values_of_a_corridor():
    length, gamma = 5, 0.9
    # Random play is cut off after 7 steps most of the time: values are right only if truncated
    # episodes bootstrap and terminated ones do not.
    envs = make_vector({"id": CORRIDOR, "length": length, "limit": 7}, 4)
    model = DoubleDQN(Table(length + 1))
    storage = Storage(4000, 4, (4, 36, 36))
    rng = np.random.default_rng(0)
    selector = PrioritizedSelector(storage, rng, alpha=0.6, beta=lambda step: 0.4)
    sizes = {"batch_size": 64, "learning_starts": 64, "train_every": 1}
    replay = TransitionReplay(storage, selector, n_step=1, gamma=gamma, save=False, **sizes)
    policy = DQNPolicy(model, epsilon=lambda step: 1.0, eval_epsilon=0.0, seed=0, device=CPU)
    collected = Actor(envs, policy, seed=0).collect(4000, 0, lambda step: replay.add(step, 0))
    assert any(episode.truncated for episode in collected.episodes)
    assert any(episode.flags for episode in collected.episodes)
    learner = DDQNLearner(model, tau=0.05)
    computer = GradientComputer(learner, CPU)
    updater = an_updater(learner, lr=0.05, end=0.001, total=1500)
    for batch in islice(replay.batches(0), 1500):
        replay.feedback(batch, computer.add(batch))
        updater.apply(computer.take())
    envs.close()
    learned = model.online.q[:length].detach().numpy()
    assert learned == pytest.approx(corridor_q(length, gamma), abs=0.05)
