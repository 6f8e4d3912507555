"""What ``mario-agents watch`` and ``record`` share: how the agent of a run plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import gymnasium
from tyro.conf import FlagCreatePairsOff

from mario_agents.commands.stored_run import RunPath, StoredRun
from mario_agents.config import validate
from mario_envkit.errors import OptionError
from mario_envkit.plugins import Policy

if TYPE_CHECKING:  # what needs torch is imported when it is used: --help does not wait for it
    from mario_agents.evaluation.results import EvalEpisode, EvalProtocol
    from mario_agents.playback.player import FrameTap


@dataclass(frozen=True, kw_only=True)
class PlayingOptions:
    """How an agent plays."""

    run: RunPath
    """Run directory."""
    greedy: FlagCreatePairsOff[bool] = False
    """Always take the best action; this is the default."""
    sampled: FlagCreatePairsOff[bool] = False
    """Choose actions as the agent explores in evaluation, instead of the best."""
    sticky: float = 0.0
    """Sticky actions: probability that the console sees the previous action again."""
    per_frame: FlagCreatePairsOff[bool] = False
    """Draw that for every frame and not for whole agent steps, as the Arcade Learning Environment
    does."""
    noop_max: int = 30
    """Most idle frames before the agent takes over; without them greedy games are all alike."""
    seed: int = 0
    """Seed of the first episode; each further one has the next seed."""
    weights: Literal["best", "latest"] = "best"
    """The best weights of the evaluations during training, or the latest; without evaluations there
    are latest ones only."""
    device: str = "auto"
    """Where the networks live: cpu, cuda, ..., or auto."""
    episodes: int = 1
    """Episodes to play."""

    @property
    def is_greedy(self) -> bool:
        """Whether to take the best action.

        Raises:
            OptionError: if both ways were asked for.
        """
        if self.greedy and self.sampled:
            raise OptionError("--greedy and --sampled exclude each other; give one of them.")
        return not self.sampled


def protocol_of(options: PlayingOptions) -> EvalProtocol:
    """How episodes are played.

    Raises:
        ConfigError, OptionError: if the options are not within their limits.
    """
    from mario_agents.evaluation.results import EvalProtocol

    protocol = EvalProtocol(
        episodes=options.episodes,
        greedy=options.is_greedy,
        sticky=options.sticky,
        per_frame=options.per_frame,
        noop_max=options.noop_max,
        seed=options.seed,
    )
    return validate(protocol, source="command line")


def policy_of(run: StoredRun, options: PlayingOptions) -> Policy:
    """The agent with the weights that are asked for."""
    return run.trainer.load_policy(
        run.config, run.directory.path, device=options.device, weights=options.weights
    )


def play(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    protocol: EvalProtocol,
    number: int,
    tap: FrameTap | None = None,
) -> EvalEpisode:
    """Play the protocol's episode ``number``."""
    from mario_agents.playback.policy_player import play_episode

    seed = protocol.seed + number
    return play_episode(policy, env, greedy=protocol.greedy, seed=seed, tap=tap)


def print_episode(episode: EvalEpisode) -> None:
    """Print a line about an episode."""
    stages = episode.stages_cleared - episode.success
    cleared = f", {episode.stages_cleared} stages cleared" if stages else ""
    print(
        f"level {episode.level}: {episode.ending} at x {episode.best_x} after {episode.steps} "
        f"steps{cleared}, return {episode.reward:.2f}"
    )
