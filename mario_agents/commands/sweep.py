"""``mario-agents sweep``: search for better options of a trainer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from mario_agents.commands.parsing import command_line
from mario_agents.commands.place_options import PlaceOptions
from mario_agents.experiments.place import HERE
from mario_agents.experiments.plan_file import write_plan
from mario_agents.sweep.objective import Objective
from mario_agents.sweep.plan import (
    FREE,
    PLAN_NAME,
    Pruner,
    Sampler,
    SweepLayout,
    SweepPlan,
    checked,
    merged,
    read_sweep,
)
from mario_envkit.command_line import shell_words
from mario_envkit.errors import OptionError

if TYPE_CHECKING:  # what needs Optuna is imported when it is used: --help does not
    from mario_agents.sweep.results import SweepResults


@dataclass(frozen=True, kw_only=True)
class SweepOptions(PlaceOptions):
    """Search for better options of a trainer, by Optuna. Each trial trains with other values, for
    the same budget; the next values are chosen by what the trials before have found, and a trial
    that falls behind the others is pruned. The first one has the preset's own values. Ends with a
    table (table.md, results.json, results.csv), a page with figures (report.html), and the best
    trial as a preset (best.yaml), which mario-agents train TRAINER --preset and bench learn
    --presets take.

    What is searched: LOW..HIGH is a range, of whole numbers if the option takes only these;
    LOW..HIGH:log has each factor as likely as any other, which suits learning rates;
    LOW..HIGH:step=K every K-th value; A,B,C are choices, which may be words, numbers, true, false
    and None.

    It can be stopped or killed at any time: the same command, or --out alone, goes on. What was
    running starts again, from its beginning. The same folder may be given to several commands at
    once, which then share the trials. --trials, --jobs, --sampler, --pruner and --startup may
    change from one command to the next; anything else needs a folder of its own. With --engine ray
    the trials are on the machines of a Ray cluster, and their files come back here.

    For example: mario-agents sweep ppo/tiles-cpu --search lr=1e-4..1e-2:log
    entropy_coef=0.001..0.05 minibatch_size=128,256,512 --trials 20 --minutes 1 --out sweeps/first
    """

    preset: Annotated[Positional[str | None], tyro.conf.arg(metavar="[TRAINER[/PRESET]]")] = None
    """What is searched around: TRAINER/PRESET as mario-agents presets lists them, a trainer alone
    for its defaults, or a YAML file of your own with the same keys as a preset."""
    out: Path
    """Folder of the sweep: the plan, all runs, and what was found."""
    search: tuple[str, ...] = ()
    """What is searched, such as lr=1e-5..1e-3:log entropy_coef=0.001..0.05 network=small,nature;
    see mario-agents train TRAINER --help for the options that there are."""
    trials: int | None = None
    """Trials in all, those of other commands and those that were pruned among them; None is what
    the sweep began with, at first 20. Ones that fail are replaced, and so are values that do not go
    together."""
    minutes: float | None = None
    """Wall-clock minutes of training for each trial. A preset's own total_steps ends a run as well,
    unless --steps says otherwise."""
    steps: int | None = None
    """Agent steps of each trial: its total_steps, which schedules of learning rates span."""
    jobs: int | None = None
    """Trials that train at once, each on its share of the cores; None is what the sweep began with,
    at first 1. With --minutes, keep to one number: a run with fewer cores does less in that
    time."""
    objective: Objective | None = None
    """What is to be large; None is area. area: mean success, plain and sticky, over the budget,
    by the evaluations in training; it tells how soon something was learned, has less luck in it
    than a single evaluation, and is what pruning looks at. final: success at the end by the
    standard of mario-agents eval, its conditions together; for long budgets and hard
    levels."""
    episodes: int | None = None
    """With --objective final: episodes for each condition of the standard; None is 100."""
    set: tuple[str, ...] = ()
    """Options of all trials, such as level=2-1 gamma=0.95."""
    seed: int | None = None
    """Seed of the search and of the first trial; each further one has the next; None is 0."""
    sampler: Sampler | None = None
    """What chooses values; None is what the sweep began with, at first tpe. tpe: more of what was
    good (Bergstra et al., 2011); random: all alike; gp, cmaes and qmc need further packages, and
    say which."""
    pruner: Pruner | None = None
    """What gives trials up; None is what the sweep began with, at first median. median: those below
    the median of the others after the same share of the budget, from a quarter on; hyperband: all
    but the best third, now and then (Li et al., 2018); none: no trial."""
    startup: int | None = None
    """Random trials before the sampler has a model, and whole ones before anything is pruned; None
    is a quarter of the trials, 3 to 10."""
    show: FlagCreatePairsOff[bool] = False
    """Run nothing; only print the table, and write it, the figures and the page, of what there is
    by now."""


COMMAND_LINE = command_line("sweep", SweepOptions, last=PlaceOptions)


def main(words: Sequence[str]) -> None:
    """Do the trials that are missing, then print the table.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain; what has been found is
            kept.
        KeyboardInterrupt: if Ctrl-C or SIGTERM asked to stop, after that.
    """
    options = COMMAND_LINE.parse(words)
    from mario_agents.sweep.optuna_study import require_optuna

    require_optuna()
    layout = SweepLayout(options.out)
    if options.show:
        plan = read_sweep(layout.plan)
    else:
        plan = _plan(options, layout)
        from mario_agents.sweep.runner import run_trials

        run_trials(plan, layout)
    text, results = show(layout, plan)
    print(text)
    files = "table.md, results.json, results.csv, report.html"
    print(f"Written to {layout.path}: {files}{', best.yaml' if results.best else ''}.")
    if results.best is not None:
        train = ("mario-agents", "train", plan.preset.trainer, "--preset", layout.best)
        print(f"Train with the best options: {shell_words(*train)}")


def show(layout: SweepLayout, plan: SweepPlan) -> tuple[str, SweepResults]:
    """Write the files about what a sweep has found by now; returns its table.

    Raises:
        MarioEnvkitError: if something cannot be read or written.
    """
    from mario_agents.sweep.optuna_study import open_study
    from mario_agents.sweep.results import publish, results_of

    study = open_study(layout.storage)
    results = results_of(plan, layout, study)
    return publish(layout, study, results), results


def is_sweep(path: Path) -> bool:
    """Whether a folder is one of a sweep."""
    return (path / PLAN_NAME).is_file()


def _plan(options: SweepOptions, layout: SweepLayout) -> SweepPlan:
    """The stored plan, or the one that is asked for; it is on the disk then."""
    others = {field.name for field in fields(PlaceOptions)} | {"out", "show"}
    given = {
        field.name: value
        for field in fields(options)
        if field.name not in others and (value := getattr(options, field.name)) not in (None, ())
    }
    if options.preset is None and given.keys() <= set(FREE):
        stored = read_sweep(layout.plan)
        place = options.place(stored.place)
        plan = checked(msgspec.structs.replace(stored, **given, place=place))
        if plan == stored:
            return plan
    else:
        plan = _wanted(options, given, layout)
    try:
        layout.path.mkdir(parents=True, exist_ok=True)
        write_plan(layout.plan, plan)
    except OSError as error:
        raise OptionError(f"Cannot write {layout.plan}: {error.strerror}.") from error
    return plan


def _wanted(options: SweepOptions, given: dict[str, Any], layout: SweepLayout) -> SweepPlan:
    """What the words ask for, checked before anything starts."""
    if options.preset is None:
        raise OptionError(
            "Name what to search around, such as ppo/tiles-cpu, before the options; or give --out "
            f"alone, or with {', '.join(f'--{name}' for name in FREE)}, to go on."
        )
    from mario_agents.commands.train import check_surroundings
    from mario_agents.config import make_config
    from mario_agents.sweep.request import SweepRequest, try_draws
    from mario_envkit.plugins import load_trainer

    words = {key: value for key, value in given.items() if key not in ("set", "search")}
    stored = read_sweep(layout.plan) if layout.plan.exists() else None
    place = options.place(HERE if stored is None else stored.place)
    plan = SweepRequest(**words, search=options.search, overrides=options.set, place=place).plan()
    if stored is not None:
        kept = {name: getattr(stored, name) for name in FREE if name not in given}
        return merged(stored, msgspec.structs.replace(plan, **kept), layout.path)
    draws = try_draws(plan)
    if draws.invalid:
        print(
            f"About {draws.invalid:.0%} of all combinations do not go together, and will take no "
            f"run; for example: {draws.why}",
            file=sys.stderr,
        )
    trainer = load_trainer(plan.preset.trainer)
    check_surroundings(trainer, make_config(trainer.config_class, draws.options, source="--search"))
    return plan
