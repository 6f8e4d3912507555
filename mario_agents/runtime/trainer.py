"""The adapter that makes a trainer plug-in of an algorithm."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic

from mario_agents.acting.plugin_policy import trained_policy
from mario_agents.core.algorithm import Algorithm, Config, Spaces
from mario_agents.nn.device import resolve_device
from mario_agents.run import RunDir, Which, read_weights, weights_path
from mario_agents.runtime.run import train
from mario_envkit.errors import RunError
from mario_envkit.files import parse_json
from mario_envkit.plugins import Policy


class AlgorithmTrainer(Generic[Config]):
    """Implements :class:`mario_envkit.plugins.Trainer` for anything that has an algorithm."""

    def __init__(self, algorithm: Algorithm[Config, Any], summary: str) -> None:
        self.algorithm, self.summary = algorithm, summary
        self.config_class = algorithm.config_class

    def train(self, config: Config, run_path: Path, *, resume: bool) -> None:
        """Train until the budget is used up, see :func:`mario_agents.runtime.run.train`.

        Raises:
            CheckpointError: if ``resume`` finds no checkpoint that is whole.
            KeyboardInterrupt: after saving, if Ctrl-C, SIGTERM or SIGHUP asked to stop.
        """
        train(self.algorithm, config, RunDir.open(run_path), resume=resume)

    def env_kwargs(self, config: Config) -> dict[str, Any]:
        """The environments that the algorithm plays."""
        return self.algorithm.env_kwargs(config)

    def load_policy(
        self, config: Config, run_path: Path, *, device: str, weights: Which = "best"
    ) -> Policy:
        """The trained agent of a run, with its best or its latest weights.

        Raises:
            RunError: if the run has no weights, or they do not fit its configuration.
        """
        run = RunDir.open(run_path)
        tensors, metadata = read_weights(run, weights)
        try:
            shape = tuple(int(size) for size in parse_json(metadata["obs_shape"]))
            learner = self.algorithm.learner(config, Spaces(shape, int(metadata["actions"])))
            self.algorithm.player(learner).load_state_dict(tensors)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise RunError(
                f"The weights {weights_path(run, weights)} do not fit the configuration of "
                f"the run: {' '.join(str(error).split())}"
            ) from error
        return trained_policy(self.algorithm, config, learner, resolve_device(device))
