"""Whom ``mario-agents eval`` measures: the agent of a run, or one of somebody's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from mario_agents.commands.stored_run import StoredRun
from mario_agents.zoo import PREFIX, is_shipped
from mario_envkit.errors import OptionError

if TYPE_CHECKING:  # what needs torch is imported when it is used: --help does not wait for it
    from mario_agents.evaluation.agents import Agent
    from mario_agents.evaluation.result_file import AgentRecord, TrainingRecord


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """The agent."""

    run: Annotated[Positional[Path | None], tyro.conf.arg(metavar="[RUN]")] = None
    """Run directory."""
    agent: str | None = None
    """Instead of a run: FILE.py:NAME or MODULE:NAME, an object, class or function with
    act(observations), batches of observations in, a whole number for each out; or a baseline:
    random, run-right. What else such an agent may have, help(mario_agents.evaluation.agents)
    says."""
    sb3: Path | None = None
    """Instead of a run: a model of Stable-Baselines3, as model.save() writes it."""
    sb3_algo: Literal["PPO", "A2C", "DQN", "RecurrentPPO"] | None = None
    """What trained that model; without it told from its weights."""
    trust_pickle: FlagCreatePairsOff[bool] = False
    """Load classes and options of that model's policy from the pickles in its file, which runs
    whatever code its author put there; only needed for policies with classes of their own."""
    name: str | None = None
    """What the result calls the agent, instead of the name of its run or file."""
    trained_minutes: float | None = None
    """Minutes of training, for the result: of a run they are known."""
    trained_steps: int | None = None
    """Agent steps of training, likewise."""
    weights: Literal["best", "latest"] = "best"
    """The best weights of a run's evaluations during training, or the latest."""
    device: str = "auto"
    """Where the networks live: cpu, cuda, ..., or auto."""


@dataclass(frozen=True, slots=True)
class MeasuredAgent:
    """An agent, and what a result says about it.

    Attributes:
        agent: ready to play.
        record: who it is.
        training: how much it was trained.
        run: whose agent it is, if it is that of a run.
    """

    agent: Agent
    record: AgentRecord
    training: TrainingRecord
    run: StoredRun | None = None

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.record.name} ({self.record.trainer or self.record.kind})"


def measured_agent(options: AgentOptions, given: Mapping[str, Any]) -> MeasuredAgent:
    """Load the agent that the options name.

    Args:
        options: of the command.
        given: keyword arguments of the environment from the command line.

    Raises:
        OptionError: if they name none or several.
        MarioEnvkitError: if it cannot be loaded.
    """
    named = [value for value in (options.run, options.agent, options.sb3) if value is not None]
    if len(named) != 1:
        raise OptionError(
            "Say whom to measure, and one only: a run directory, --agent FILE.py:NAME, or --sb3 "
            "model.zip."
        )
    if options.run is not None:
        if given:
            option = next(iter(given)).replace("_", "-").replace("grayscale", "rgb")
            raise OptionError(
                f"A run plays in the environment it was trained in; leave out --{option}."
            )
        return _of_run(options, StoredRun.open(options.run))
    given = {"level": "1-1", **given}
    if options.agent is not None:
        from mario_agents.evaluation.agents import load_agent

        agent = load_agent(options.agent, given)
    else:
        from mario_agents.evaluation.sb3 import load_sb3

        assert options.sb3 is not None
        agent = load_sb3(
            options.sb3,
            given,
            algorithm=options.sb3_algo,
            trust_pickle=options.trust_pickle,
            device=options.device,
        )
    return MeasuredAgent(agent, _record(agent, options), _declared(options))


def _of_run(options: AgentOptions, run: StoredRun) -> MeasuredAgent:
    from mario_agents.evaluation.agents import Agent, digests
    from mario_agents.evaluation.result_file import TrainingRecord
    from mario_agents.publishing.export import training_of

    policy = run.trainer.load_policy(
        run.config, run.directory.path, device=options.device, weights=options.weights
    )
    path = run.directory.path
    best, latest = run.directory.best_path, run.directory.weights_path
    file = best if options.weights == "best" and best.exists() else latest
    agent = Agent(
        name=f"{PREFIX if is_shipped(path) else ''}{path.absolute().name}",
        kind="run",
        policy=policy,
        env_kwargs=run.trainer.env_kwargs(run.config),
        # Trainers of other packages may keep their weights elsewhere.
        files=digests([file] if file.exists() else [], str(path)),
    )
    training = _declared(options)
    if not training.declared:
        steps, seconds = training_of(run.directory)
        minutes = None if seconds is None else seconds / 60
        training = TrainingRecord(minutes=minutes, agent_steps=steps)
    return MeasuredAgent(
        agent, _record(agent, options, run.directory.trainer, options.weights), training, run
    )


def _record(
    agent: Agent, options: AgentOptions, trainer: str = "", weights: str = ""
) -> AgentRecord:
    from mario_agents.evaluation.result_file import AgentRecord, as_text

    return AgentRecord(
        name=as_text(options.name or agent.name),
        kind=agent.kind,
        trainer=trainer,
        weights=weights,
        files={as_text(file): digest for file, digest in agent.files.items()},
    )


def _declared(options: AgentOptions) -> TrainingRecord:
    """What the author says of an agent's training."""
    from mario_agents.evaluation.result_file import TrainingRecord

    minutes, steps = options.trained_minutes, options.trained_steps
    declared = minutes is not None or steps is not None
    return TrainingRecord(minutes=minutes, agent_steps=steps, declared=declared)
