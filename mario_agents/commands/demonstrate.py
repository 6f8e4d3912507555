"""``mario-agents demonstrate``: save episodes of an agent as runs that others can imitate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import FlagCreatePairsOff

from mario_agents.commands.parsing import command_line
from mario_agents.commands.stored_run import RunPath, StoredRun
from mario_envkit.arguments import as_int
from mario_envkit.curriculum.runs import Run, run_path
from mario_envkit.errors import OptionError, RunError


@dataclass(frozen=True, kw_only=True)
class DemonstrateOptions:
    """Play episodes of the agent of a run, and save the different ones that reach the flag, as
    mario-envkit solve saves its runs: for train --imitate and --backward, and play --replay."""

    run: RunPath
    """Run directory."""
    out: Path = Path("demonstrations")
    """Folder of the runs; those in it with the same names are replaced."""
    episodes: int = 20
    """Episodes to play."""
    greedy: FlagCreatePairsOff[bool] = False
    """Always take the best action: without idle frames all these episodes are the same one. By
    default actions are sampled as the agent explores in evaluation."""
    seed: int = 0
    """Seed of the first episode; each further one has the next seed."""
    weights: Literal["best", "latest"] = "best"
    """The best weights of the evaluations during training, or the latest."""
    device: str = "auto"
    """Where the networks live: cpu, cuda, ..., or auto."""


COMMAND_LINE = command_line("demonstrate", DemonstrateOptions)


def main(words: Sequence[str]) -> None:
    """Play and save.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain; if no episode reached the
            flag, too.
    """
    options = COMMAND_LINE.parse(words)
    from mario_agents.imitation.recording import recorded_runs

    episodes = as_int("episodes", options.episodes, least=1)
    seed = as_int("seed", options.seed)
    run = StoredRun.open(options.run)
    policy = run.trainer.load_policy(
        run.config, run.directory.path, device=options.device, weights=options.weights
    )
    kwargs = run.trainer.env_kwargs(run.config)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"The folder {options.out} cannot be made: {error.strerror}.") from error
    known: dict[Run, Path] = {}
    won = 0
    played = recorded_runs(policy, kwargs, episodes=episodes, greedy=options.greedy, seed=seed)
    for found in played:
        won += found is not None
        if found is None or found in known:
            continue
        number = 1 + sum(each.level == found.level for each in known)
        path = run_path(options.out, found.level, game=found.game, number=number)
        found.save(path)
        known[found] = path
        print(f"{found.level}  {found.frames:6} frames  {path}", flush=True)
    if not known:
        raise RunError(
            f"None of {episodes} episodes of {options.run} reached the flag; play more, or train "
            "the agent longer."
        )
    print(f"{won} of {episodes} episodes reached the flag, in {len(known)} different ways.")
