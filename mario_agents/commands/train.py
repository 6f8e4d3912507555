"""``mario-agents train``: build a configuration and a run directory, call the trainer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import tyro

from mario_agents.commands.option_groups import grouped_command_line
from mario_agents.commands.parsing import REGISTRY, CommandLine, show_choices
from mario_agents.commands.stored_run import StoredRun
from mario_agents.config import (
    TrainConfig,
    absolute_paths,
    check_resume,
    make_config,
    read_options,
)
from mario_agents.presets import all_presets, preset_for
from mario_agents.run import RunDir
from mario_agents.run.directory import default_run_path
from mario_agents.run.log_levels import NOTICE
from mario_agents.run.storage import GrowingLog
from mario_agents.runtime.processes.process import process_context
from mario_envkit.closing import close_at_end
from mario_envkit.command_line import shell_words
from mario_envkit.errors import ConfigError, OptionError
from mario_envkit.plugins import Trainer, available_trainers, load_trainer

DESCRIPTION = """Train an agent: mario-agents train NAME [options].

'mario-agents train NAME --help' lists the options of a trainer;
'mario-agents train --resume RUN' continues a run. The installed trainers:"""


@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """Where the run is, and where its options come from."""

    preset: str | None = None
    """Name of a preset (see mario-agents presets), or a YAML file with the same keys as one; all
    options given elsewhere win over it."""
    config: Path | None = None
    """YAML or JSON file of options; those on the command line win over it."""
    run_dir: Path | None = None
    """Directory of the run, new or empty; default is runs/NAME-LEVEL-TIME."""
    resume: Path | None = None
    """Directory of a run to continue; its own options are the defaults."""


def main(words: Sequence[str]) -> None:
    """Run ``mario-agents train`` with the words after ``train``.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain; unless it was training
            already, nothing has been written then.
        SystemExit: for a malformed command line, or after ``--help``.
    """
    named = words and not words[0].startswith("-")
    name, rest = (words[0], words[1:]) if named else (None, words)
    known = start_options(rest)
    if _forks(rest):
        process_context(1)  # what the workers will be forked from imports while this process does
    if known.resume is not None:
        opened = _stored_run(name, known.resume, rest, known)
    elif name is not None:
        opened = _new_run(name, rest, known)
    else:
        _list_trainers(rest)
    resume = known.resume is not None
    with opened as (trainer, config, path), _told(path, config, resume=resume):
        trainer.train(config, path, resume=resume)


def start_options(words: Sequence[str]) -> StartOptions:
    """Only what decides on the trainer and on the defaults of its options."""
    known, _ = tyro.cli(
        StartOptions, args=words, return_unknown_args=True, add_help=False, registry=REGISTRY
    )
    return known


def _forks(words: Sequence[str]) -> bool:
    """Whether the words ask for worker processes of this machine."""
    options = {word.partition("=")[0] for word in words}
    return "--workers" in options and not {"ray", "--engine=ray"} & set(words)


OpenRun = tuple[Trainer, Any, Path]
"""A trainer, its configuration, and the directory of a run, which is locked."""


@contextmanager
def _new_run(name: str, words: Sequence[str], known: StartOptions) -> Iterator[OpenRun]:
    trainer = load_trainer(name)
    config = configuration(name, trainer, {}, words, known)
    check_surroundings(trainer, config)
    if isinstance(config, TrainConfig):
        config = config.resolved()
    _check_init(trainer, config)
    _check_imitation(trainer, config)
    _memory(config)
    path = known.run_dir or default_run_path(name, str(getattr(config, "level", "run")))
    run = RunDir.create(path, trainer=name, config=config)
    with run.lock():
        yield trainer, config, run.path


@contextmanager
def _stored_run(
    name: str | None, path: Path, words: Sequence[str], known: StartOptions
) -> Iterator[OpenRun]:
    stored = StoredRun.open(path)
    run = stored.directory
    if name is not None and name != run.trainer:
        raise ConfigError(f"The run {path} is one of {run.trainer!r}, not of {name!r}.")
    if known.run_dir is not None:
        raise OptionError("--resume continues in the run's own directory; leave out --run-dir.")
    if known.preset is not None:
        raise OptionError("--resume continues with the run's own options; leave out --preset.")
    config = configuration(run.trainer, stored.trainer, run.options, words, known)
    check_resume(stored.config, config)
    check_surroundings(stored.trainer, config)
    _memory(config)
    with run.lock():
        if config != stored.config:
            run = run.with_config(config)
        yield stored.trainer, config, run.path


def configuration(
    name: str, trainer: Trainer, base: dict[str, Any], words: Sequence[str], known: StartOptions
) -> Any:
    """The configuration from, in rising order: ``base``, preset, file, the command line."""
    source = "stored options"
    if known.preset is not None:
        base = {**base, **preset_for(name, known.preset).options}
        source = f"preset {known.preset}"
    if known.config is not None:
        base = {**base, **read_options(known.config)}
        source = str(known.config)
    default = make_config(trainer.config_class, base, source=source)
    return absolute_paths(command_line(name, trainer, default).parse(words))


def command_line(name: str, trainer: Trainer, default: Any = None) -> CommandLine[Any]:
    """What ``mario-agents train NAME`` takes; its words become a configuration.

    Args:
        name: of the trainer.
        trainer: what is installed under it.
        default: the configuration where the words say nothing; None for the trainer's own.
    """
    if default is None:
        default = make_config(trainer.config_class, {}, source="defaults")
    summary = trainer.summary
    presets = [preset.name for preset in all_presets() if preset.trainer == name]
    if presets:
        summary += f"\n\nPresets: {', '.join(presets)}; see mario-agents presets {name}."
    return grouped_command_line(StartOptions, default, name=name, summary=summary)


def check_surroundings(trainer: Trainer, config: Any) -> None:
    """Open the game and the run to learn from, look for the device and wandb, ask whether workers
    can share what they are to: what is wrong there leaves no run behind."""
    from mario_agents.acting.environments import followed_runs, make_env
    from mario_agents.core.algorithm import share_of
    from mario_agents.nn.device import resolve_device
    from mario_agents.runtime.ray.cluster import require_ray
    from mario_agents.runtime.shm.segments import require_shared_memory
    from mario_agents.runtime.trainer import AlgorithmTrainer
    from mario_agents.telemetry.sinks.wandb import require_wandb

    if isinstance(trainer, AlgorithmTrainer):
        share_of(trainer.algorithm, config)
    engine = getattr(config, "engine", "processes")
    if engine == "ray":
        require_ray()
    elif getattr(config, "workers", 0):
        require_shared_memory()
    if getattr(config, "wandb", None) is not None:
        require_wandb()
    if engine != "ray":  # other machines may have other devices
        for name in ("device", "actor_device"):
            resolve_device(getattr(config, name, None) or "cpu")
    make_env(trainer.env_kwargs(config)).close()
    if isinstance(config, TrainConfig) and (config.runs_followed or config.pays_for_path):
        followed_runs(config)


def _check_init(trainer: Trainer, config: Any) -> None:
    """Look whether the weights to begin with fit the networks of a new run."""
    from mario_agents.acting.environments import make_vector
    from mario_agents.core.algorithm import Spaces
    from mario_agents.runtime.initial import begin_with, read_initial
    from mario_agents.runtime.trainer import AlgorithmTrainer

    if getattr(config, "init", None) is None or not isinstance(trainer, AlgorithmTrainer):
        return
    initial, algorithm = read_initial(Path(config.init)), trainer.algorithm
    envs = make_vector(trainer.env_kwargs(config), 1)
    spaces = Spaces.of(envs)
    envs.close()
    begin_with(algorithm, config, spaces, algorithm.learner(config, spaces), initial)


def _check_imitation(trainer: Trainer, config: Any) -> None:
    """Look whether a new run's agent can imitate what it is to."""
    from mario_agents.imitation.cloning import check_imitation
    from mario_agents.runtime.trainer import AlgorithmTrainer

    if getattr(config, "imitate", None) is None:
        return
    if not isinstance(trainer, AlgorithmTrainer):
        raise ConfigError("imitate: this trainer has a way of its own to begin; leave it out.")
    check_imitation(trainer.algorithm, config)


def _memory(config: Any) -> str:
    """What is to be said of the memory that training takes; perhaps nothing.

    Raises:
        ConfigError: if there is not enough.
    """
    from mario_agents.replay.memory import check_memory

    here = isinstance(config, TrainConfig) and config.engine != "ray"
    size = config.replay_bytes() if here else 0
    return check_memory(size) if size else ""


@contextmanager
def _told(path: Path, config: Any, *, resume: bool) -> Iterator[None]:
    """Training goes on within: it is shown, logged to the run directory, and its end explained."""
    from mario_agents.monitor.beside import open_beside
    from mario_agents.telemetry.progress import displayed_by

    print(f"Run directory: {path}", flush=True)
    with _logging(path / "training.log") as log:
        log.info("%s %s", "Resuming" if resume else "Training", path)
        if memory := _memory(config):
            log.log(NOTICE, memory)
        try:
            with displayed_by(open_beside):
                yield
        except KeyboardInterrupt as stop:
            log.info("Stopped by a signal.")
            again = shell_words("mario-agents", "train", "--resume", path)
            raise type(stop)(str(stop) or f"Continue with: {again}") from None
        except Exception:
            log.exception("Training ended with an error.")
            raise
        log.info("Finished.")
    print(f"Finished. See what it learned: {shell_words('mario-agents', 'eval', path)}")


@contextmanager
def _logging(path: Path) -> Iterator[logging.Logger]:
    """Log to a file; warnings and good news to the standard error stream as well."""

    log = logging.getLogger("mario_agents")
    file = GrowingLog(path)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    # Errors reach people as the one sentence that ends the command.
    screen = logging.StreamHandler()
    screen.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    screen.addFilter(lambda record: record.levelno in (NOTICE, logging.WARNING))
    loggers = log, logging.getLogger("mario_envkit")
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(file)
        logger.addHandler(screen)
    try:
        with close_at_end(file):
            yield log
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(file)
            logger.removeHandler(screen)
            logger.setLevel(level)
            logger.propagate = propagate


def _list_trainers(words: Sequence[str]) -> NoReturn:
    """Help for ``train`` without a name; imports no trainer."""
    trainers = {
        entry.name: f"{entry.target} ({entry.distribution})" for entry in available_trainers()
    }
    if words and not {"-h", "--help"} & set(words):
        names = ", ".join(trainers) or "none"
        raise OptionError(f"Name a trainer first: mario-agents train NAME; installed: {names}.")
    if not trainers:
        raise OptionError("No trainers are installed: pip install 'mario-envkit[agents]'.")
    show_choices("mario-agents train", trainers, DESCRIPTION, words)
