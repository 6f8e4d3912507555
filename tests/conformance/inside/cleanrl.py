"""Training in the style of CleanRL: one loop, Gymnasium's vectors, PyTorch and nothing else."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical

import mario_envkit  # noqa: F401 - registers the ids

STEPS, ENVS, UPDATES = 16, 2, 2
GAMMA, LAMBDA, CLIP = 0.99, 0.95, 0.1


class Agent(nn.Module):
    """One network with two heads, over stacks of pictures."""

    def __init__(self, envs: gym.vector.VectorEnv) -> None:
        super().__init__()
        channels = envs.single_observation_space.shape[0]
        self.network = nn.Sequential(
            nn.Conv2d(channels, 16, 8, stride=4), nn.ReLU(),
            nn.Conv2d(16, 16, 4, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(64), nn.ReLU(),
        )  # fmt: skip
        self.actor = nn.Linear(64, int(envs.single_action_space.n))
        self.critic = nn.Linear(64, 1)

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return self.critic(self.network(x / 255.0)).flatten()

    def act(self, x: torch.Tensor, action: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        hidden = self.network(x / 255.0)
        choice = Categorical(logits=self.actor(hidden))
        action = choice.sample() if action is None else action
        return action, choice.log_prob(action), choice.entropy(), self.critic(hidden).flatten()


def advantages(rewards, dones, values, last_value, last_done):
    """Generalised advantage estimation, backwards over a rollout."""
    result, running = torch.zeros_like(rewards), torch.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        later = t + 1 == len(rewards)
        goes_on = 1.0 - (last_done if later else dones[t + 1])
        next_value = last_value if later else values[t + 1]
        delta = rewards[t] + GAMMA * next_value * goes_on - values[t]
        result[t] = running = delta + GAMMA * LAMBDA * goes_on * running
    return result


def make(vector: str) -> gym.vector.VectorEnv:
    kwargs: dict[str, Any] = {"level": "1-1", "screen_size": 42, "max_episode_steps": 10}
    if vector == "native":
        return gym.make_vec("MarioTrain-v0", num_envs=ENVS, **kwargs)
    return gym.vector.SyncVectorEnv([lambda: gym.make("MarioTrain-v0", **kwargs)] * ENVS)


@pytest.mark.parametrize("vector", ["native", "sync"])
def test_ppo(vector: str) -> None:
    torch.manual_seed(0)
    envs = gym.wrappers.vector.RecordEpisodeStatistics(make(vector))
    agent = Agent(envs)
    next_obs = torch.tensor(envs.reset(seed=1)[0])
    agent.value(next_obs)  # gives the lazy layer its shape
    before = [parameter.detach().clone() for parameter in agent.parameters()]
    optimizer = torch.optim.Adam(agent.parameters(), lr=2.5e-4, eps=1e-5)
    next_done, returns_of_episodes = torch.zeros(ENVS), []
    obs = torch.zeros(STEPS, ENVS, *envs.single_observation_space.shape)
    actions, logprobs, rewards, dones, values = torch.zeros(5, STEPS, ENVS)
    for _ in range(UPDATES):
        for step in range(STEPS):
            obs[step], dones[step] = next_obs, next_done
            with torch.no_grad():
                action, logprobs[step], _, values[step] = agent.act(next_obs)
            actions[step] = action
            new, reward, terminated, truncated, infos = envs.step(action.numpy())
            next_obs, next_done = torch.tensor(new), torch.tensor(terminated | truncated).float()
            rewards[step] = torch.tensor(reward)
            if "episode" in infos:
                returns_of_episodes += infos["episode"]["r"][infos["_episode"]].tolist()
        with torch.no_grad():
            last = agent.value(next_obs)
            gains = advantages(rewards, dones, values, last, next_done)
        _, logprob, entropy, value = agent.act(obs.flatten(0, 1), actions.flatten().to(torch.int64))
        ratio = (logprob - logprobs.flatten()).exp()
        gain = (gains.flatten() - gains.mean()) / (gains.std() + 1e-8)
        policy_loss = torch.max(-gain * ratio, -gain * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
        value_loss = 0.5 * (value - (gains + values).flatten()).square().mean()
        loss = policy_loss + 0.5 * value_loss - 0.01 * entropy.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
    assert returns_of_episodes, "no episode has ended"
    assert np.isfinite(returns_of_episodes).all()
    after = list(agent.parameters())
    assert all(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    envs.close()
