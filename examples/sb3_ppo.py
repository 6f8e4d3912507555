"""Stable-Baselines3's PPO with snapshots, which it knows nothing of.

    python examples/sb3_ppo.py --steps 200000        needs pip install stable-baselines3

With ``restore="on_reset"`` a death ends an episode as always; the next one begins at the snapshot
before the place of the death, or (a third of the others) at a snapshot that is still worth
practising. The evaluation knows none of this: true starts, sticky actions, no snapshots.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import gymnasium
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from mario_envkit.game.endings import is_success
from mario_envkit.integrations.sb3 import make_vec_env

GAME: dict[str, Any] = dict(
    reward="progress", palette="contrast", crop_top=32, screen_size=(52, 64), stall_limit=150
)
SNAPSHOTS: dict[str, Any] = dict(restore="on_reset", start_states=0.35)
STICKY = 0.25


class Report(BaseCallback):
    """Evaluates after every 20 rollouts."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self._level, self._rollouts, self._start = level, 0, time.perf_counter()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._rollouts += 1
        if self._rollouts % 20 == 0:
            wins, x_pos = evaluate(self.model, self._level, episodes=10)
            seconds = time.perf_counter() - self._start
            print(f"{self.num_timesteps:8} steps {seconds:6.0f} s  flag {wins}/10  x {x_pos:.0f}")


def evaluate(model: PPO, level: str, episodes: int) -> tuple[int, float]:
    """Flags reached from the true start, and the mean x at the end, under sticky actions."""
    env = gymnasium.make("MarioTrain-v0", level=level, repeat_action_probability=STICKY, **GAME)
    wins = x_pos = 0
    for episode in range(episodes):
        observation, _ = env.reset(seed=episode)
        over = False
        while not over:
            action, _ = model.predict(observation, deterministic=False)
            observation, _, terminated, truncated, info = env.step(int(action))
            over = terminated or truncated
        wins += is_success(info["ending"])
        x_pos += info["x_pos"]
    env.close()
    return wins, x_pos / episodes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200_000, help="to train; default 200000")
    parser.add_argument("--level", default="1-1", help="which level; default 1-1")
    options = parser.parse_args()
    kwargs = dict(level=options.level, repeat_action_probability=STICKY, **GAME, **SNAPSHOTS)
    envs = make_vec_env("MarioSnapshot-v0", n_envs=16, seed=0, **kwargs)
    model = PPO(
        "CnnPolicy", envs, n_steps=64, batch_size=256, n_epochs=3, gamma=0.9, ent_coef=0.01,
        learning_rate=5e-4, seed=0,
    )  # fmt: skip
    model.learn(options.steps, callback=Report(options.level))
    print("restores:", [stats["total_restores"] for stats in envs.env_method("get_stats")])
    envs.close()


if __name__ == "__main__":
    main()
