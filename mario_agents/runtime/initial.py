"""The weights that a new run begins with instead of random ones (``--init``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mario_agents.acting.environments import make_vector
from mario_agents.config import TrainConfig, make_config, to_plain
from mario_agents.core.algorithm import Algorithm, Spaces
from mario_agents.core.types import Learner
from mario_agents.imitation.cloning import check_imitation, imitate, write_imitated
from mario_agents.imitation.demonstrations import sources_of
from mario_agents.imitation.kept import write_runs
from mario_agents.imitation.pretraining import pretrain
from mario_agents.run import RunDir, weights_path
from mario_agents.run.weights import read_tensors
from mario_agents.zoo import located
from mario_envkit.errors import ConfigError, MarioEnvkitError, RunError
from mario_envkit.files import parse_json


class InitialWeights(NamedTuple):
    """Weights of another run.

    Attributes:
        path: of their file.
        tensors: by name.
        whole: they are those of the whole model, as a checkpoint has them, and not only of the part
            that plays.
        spaces: of the environments that they were trained in; None if the file does not say so.
        options: of their run; empty if the file is in none.
    """

    path: Path
    tensors: dict[str, Tensor]
    whole: bool
    spaces: Spaces | None
    options: dict[str, Any]


def first_weights(config: TrainConfig, run: RunDir) -> Path | None:
    """Where the weights are that a new run begins with: those of ``--init``, or what they became
    by imitation; None for random ones."""
    if config.imitate is not None:
        return run.imitated_path
    return None if config.init is None else Path(config.init)


def begin_by_imitation(algorithm: Algorithm[Any, Any], config: TrainConfig, run: RunDir) -> None:
    """Before a new run begins: imitate, and write down the weights that it is to begin with, and
    the runs that its replay buffers are to hold demonstrations of.

    Raises:
        ConfigError, ReplayError, RunError: see :func:`mario_agents.imitation.cloning.imitate` and
            :func:`mario_agents.imitation.pretraining.pretrain`.
    """
    check_imitation(algorithm, config)
    torch.set_num_threads(config.torch_threads)
    with closing(make_vector(algorithm.env_kwargs(config), 1)) as envs:
        spaces = Spaces.of(envs)
    learner = algorithm.learner(config, spaces)
    if config.init is not None:
        begin_with(algorithm, config, spaces, learner, read_initial(Path(config.init)))
    runs = [source.run for source in sources_of(config)]
    if config.imitate_steps and algorithm.imitates == "policy":
        imitate(algorithm, config, learner, run)
    elif config.imitate_steps:
        pretrain(algorithm, config, learner, spaces, run, runs)
    write_imitated(run, learner.model.state_dict())
    if algorithm.keeps_demonstrations(config):
        write_runs(run, runs)


def read_initial(path: Path) -> InitialWeights:
    """What ``--init`` names: a run, whose best weights are meant, or a file of weights or of a
    checkpoint.

    Raises:
        RunError: if there are none, or they are damaged.
    """
    path = located(path)
    run = RunDir.open(path) if path.is_dir() else _run_around(path)
    file = weights_path(run, "best") if run is not None and path.is_dir() else path
    try:
        tensors, metadata = read_tensors(file)
    except FileNotFoundError as error:
        raise RunError(
            f"There are no weights {file} to begin with; name a run that has been saved, or a "
            "file of weights or of a checkpoint (.safetensors)."
        ) from error
    except (OSError, ValueError, SafetensorError) as error:
        raise RunError(f"The weights {file} cannot be read ({error}).") from error
    whole = {
        name.removeprefix("model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("model.")
    }
    spaces = None
    if not whole and {"obs_shape", "actions"} <= metadata.keys():
        spaces = Spaces(tuple(parse_json(metadata["obs_shape"])), int(metadata["actions"]))
    return InitialWeights(
        file,
        whole or tensors,
        bool(whole),
        spaces,
        {} if run is None else run.options,
    )


def _run_around(file: Path) -> RunDir | None:
    """The run that a file is in, if it is in one."""
    for folder in (file.parent, file.parent.parent):
        try:
            return RunDir.open(folder)
        except RunError:
            pass
    return None


def begin_with(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    spaces: Spaces,
    learner: Learner,
    initial: InitialWeights,
) -> None:
    """Let a new run's learner have these weights.

    Raises:
        ConfigError: if they do not fit its networks; says what differs and which options to set.
    """
    target = learner.model if initial.whole else algorithm.player(learner)
    wrong = _difference(initial, spaces, target)
    if wrong:
        options = ", ".join(_to_set(algorithm, config, spaces, initial))
        hint = f"set {options} as there" if options else "set the options of their run"
        raise ConfigError(
            f"init: the weights {initial.path} do not fit the networks of this run: {wrong}; "
            f"{hint}."
        )
    if initial.whole:
        target.load_state_dict(initial.tensors)
    else:
        algorithm.begin_with(learner, initial.tensors)


def _difference(initial: InitialWeights, spaces: Spaces, target: nn.Module) -> str:
    """The first thing that differs, for people; empty if nothing does."""
    if initial.spaces is not None and initial.spaces != spaces:
        there, here = initial.spaces, spaces
        if there.actions != here.actions:
            return f"they choose among {there.actions} actions, and here there are {here.actions}"
        return f"they see observations {there.obs_shape}, and here these are {here.obs_shape}"
    ours, theirs = _shapes(target.state_dict()), _shapes(initial.tensors)
    for name in {**ours, **theirs}:
        if ours.get(name) != theirs.get(name):
            their, our = (each.get(name, "missing") for each in (theirs, ours))
            return f"{name} is {their} there and {our} here"
    return ""


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _to_set(
    algorithm: Algorithm[Any, Any], config: TrainConfig, spaces: Spaces, initial: InitialWeights
) -> Iterator[str]:
    """Options with which this run would have other networks, each as the other run had it."""
    ours, theirs = to_plain(config), initial.options
    if initial.spaces is not None and initial.spaces.actions != spaces.actions:
        yield from (f"actions={theirs[name]}" for name in theirs if name == "actions")
    now = _networks(algorithm, config, config, spaces)
    for name, value in theirs.items():
        if name not in ours or ours[name] == value:
            continue
        try:
            other = make_config(type(config), {**ours, name: value}, source="init")
            changes = _networks(algorithm, other, config, spaces) != now
        except MarioEnvkitError:
            continue  # it does not go with the other options: no use to whoever is told
        if changes:
            yield f"{name}={value}"


def _networks(
    algorithm: Algorithm[Any, Any], config: TrainConfig, own: TrainConfig, spaces: Spaces
) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights that a configuration leads to, in the environments of ``own``."""
    if own.obs_shape == spaces.obs_shape:  # or else the environment is somebody else's
        spaces = dataclasses.replace(spaces, obs_shape=config.obs_shape)
    return _shapes(algorithm.learner(config, spaces).model.state_dict())
