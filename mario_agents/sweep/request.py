"""From what a person asks for to a plan, checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_agents.experiments.options import PER_RUN, parse_overrides, run_options
from mario_agents.experiments.place import HERE, Place
from mario_agents.presets import Preset, preset_of
from mario_agents.sweep.objective import Objective
from mario_agents.sweep.optuna_study import quiet, require_sampler
from mario_agents.sweep.plan import Pruner, Sampler, SweepPlan, checked, startup_for
from mario_agents.sweep.space import parse_space
from mario_envkit.errors import ConfigError, OptionError
from mario_envkit.plugins import load_trainer

DRAWS = 64
"""Random draws of the space that show whether its options go together."""
INSTEAD = "give it by the sweep's own options --seed, --minutes and --steps."


@dataclass(frozen=True)
class SweepRequest:
    """What a person asks for; the words of ``mario-agents sweep``.

    Attributes:
        preset: ``trainer/name``, a trainer, or the path of a file.
        search: ``name=range`` or ``name=choices``.
        overrides: ``name=value`` for options of all trials.
        The others are those of :class:`~mario_agents.sweep.plan.SweepPlan`.
    """

    preset: str
    search: Sequence[str]
    overrides: Sequence[str] = ()
    objective: Objective = "area"
    minutes: float | None = None
    steps: int | None = None
    episodes: int = 100
    seed: int = 0
    trials: int = 20
    jobs: int = 1
    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    startup: int | None = None
    place: Place = HERE

    def plan(self) -> SweepPlan:
        """The plan of it; every option is checked by its trainer.

        Raises:
            MarioEnvkitError: for anything wrong that a sentence can explain.
        """
        if self.minutes is None and self.steps is None:
            raise OptionError(
                "A sweep needs a budget for each trial; give --minutes, --steps, or both."
            )
        require_sampler(self.sampler)
        preset = preset_of(self.preset)
        config_class = load_trainer(preset.trainer).config_class
        overrides = parse_overrides(self.overrides, PER_RUN, INSTEAD)
        space = parse_space(self.search, config_class)
        for name in space.names:
            if name in overrides:
                raise OptionError(f"{name} is both searched and set; leave out one of them.")
        options = _with_absolute_paths({**preset.options, **overrides}, config_class)
        return checked(
            SweepPlan(
                preset=Preset(
                    preset.trainer, preset.name, preset.description, preset.measured, options
                ),
                overrides={name: options[name] for name in overrides},
                space=space,
                objective=self.objective,
                minutes=self.minutes,
                steps=self.steps,
                episodes=self.episodes,
                seed=self.seed,
                trials=self.trials,
                jobs=self.jobs,
                sampler=self.sampler,
                pruner=self.pruner,
                startup=startup_for(self.trials) if self.startup is None else self.startup,
                place=self.place,
            )
        )


def preset_parameters(plan: SweepPlan) -> dict[str, Any] | None:
    """The preset's own options as parameters of a trial; None if they are not in the space."""
    try:
        plain = options_of(plan, {})
        return plan.space.parameters(plain)
    except (ConfigError, ValueError):  # without what is searched they need not go together
        return None


@dataclass(frozen=True)
class Draws:
    """Random draws of a space.

    Attributes:
        invalid: share whose options do not go together.
        why: for one of them.
        options: of one that can be trained.
    """

    invalid: float
    why: str
    options: dict[str, Any]


def try_draws(plan: SweepPlan) -> Draws:
    """Whether what is searched goes together.

    Raises:
        OptionError: if none goes together.
    """
    import optuna

    with quiet():
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=plan.seed))
        distributions = plan.space.distributions()
        drawn = [study.ask(distributions).params for _ in range(DRAWS)]
    errors, options = [], {}
    for parameters in drawn:
        try:
            options = options_of(plan, plan.space.values(parameters))
        except ConfigError as error:
            errors.append(str(error))
    if len(errors) == DRAWS:
        raise OptionError(
            f"Of {DRAWS} random draws of {' '.join(plan.space.words)} none can be trained: "
            f"{errors[0]}"
        )
    return Draws(len(errors) / DRAWS, errors[0] if errors else "", options)


def options_of(plan: SweepPlan, values: dict[str, Any]) -> dict[str, Any]:
    """All options of a trial with these values of the options that are searched.

    Raises:
        ConfigError: if they do not go together.
    """
    return run_options(
        plan.preset, values, plan.budget, seed=plan.seed, threads=None, source="--search"
    )


def _with_absolute_paths(options: dict[str, Any], config_class: type[Any]) -> dict[str, Any]:
    """A later command may be given somewhere else."""
    names = getattr(config_class, "PATHS", ())
    paths = {name: str(Path(options[name]).absolute()) for name in names if options.get(name)}
    return {**options, **paths}
