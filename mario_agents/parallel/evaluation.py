"""Greedy episodes now and then, while training goes on."""

from __future__ import annotations

import logging
from threading import Thread
from typing import Any

import torch

from mario_agents.api import Learner, Metrics
from mario_agents.config import TrainConfig
from mario_agents.evaluate import Evaluation, Protocol, evaluate
from mario_agents.parallel.recipe import Recipe, Spaces
from mario_envkit.errors import MarioEnvkitError

log = logging.getLogger(__name__)


class Evaluator:
    """Plays with a copy of the weights in a thread, so that updates need not wait for it."""

    def __init__(
        self, recipe: Recipe[Any, Any], config: TrainConfig, spaces: Spaces, device: torch.device
    ) -> None:
        self._recipe, self._config, self._device = recipe, config, device
        self._spaces = spaces
        self._learner: Learner | None = None
        self._thread: Thread | None = None
        self._result: Evaluation | MarioEnvkitError | None = None
        self._step = 0

    def start(self, learner: Learner, step: int) -> None:
        """Begin to evaluate the weights as they are now, unless an evaluation is going on."""
        if self._thread is not None:
            return
        if self._learner is None:
            self._learner = self._recipe.learner(self._config, self._spaces)
            self._learner.model.to(self._device)
        self._learner.model.load_state_dict(learner.model.state_dict())
        self._step = step
        self._thread = Thread(target=self._play, args=(self._learner,), daemon=True)
        self._thread.start()

    def result(self, *, wait: bool = False) -> Metrics | None:
        """What an evaluation found, once after it has ended.

        Raises:
            MarioEnvkitError: if it could not be made.
        """
        if self._thread is None or (self._thread.is_alive() and not wait):
            return None
        self._thread.join()
        self._thread, result = None, self._result
        if isinstance(result, MarioEnvkitError):
            raise result
        assert result is not None
        log.info("Evaluation at step %d:\n%s", self._step, result.text())
        return {
            "eval_success": result.success_rate.mean,
            "eval_x": result.mean_x.mean,
            "eval_reward": result.mean_reward.mean,
        }

    def _play(self, learner: Learner) -> None:
        config = self._config
        torch.set_num_threads(config.torch_threads)  # a new thread begins with all cores
        policy = self._recipe.policy(config, learner, self._device)
        protocol = Protocol(episodes=config.eval_episodes, seed=config.seed)
        self._result = None
        try:
            self._result = evaluate(policy, self._recipe.env_kwargs(config), protocol)
        except MarioEnvkitError as error:
            self._result = error
