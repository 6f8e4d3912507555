"""Agents of somebody's own, written with whatever they like: what ``eval --agent`` measures.

An agent is anything with ``act``, which gets the observations ``(num_envs, ...)`` of many games at
once and returns an action ``(num_envs,)`` for each::

    class MyAgent:
        env_kwargs = {"observation": "tiles", "frame_stack": 2}

        def act(self, observations):
            return self.network(observations).argmax(1)

``act`` may take ``greedy=``, as :class:`mario_envkit.plugins.Policy` has it: True where the best
action is asked for, False where one is drawn. ``reset(num_envs)``, if there is one, is called
before so many games begin together. A plain function from observations to actions will do, and so
will a class, or a function without arguments that makes the agent; both may ask for
``action_space`` and ``observation_space`` by these names.

Two attributes are read where they exist: ``env_kwargs`` of the named object, the keyword arguments
of ``MarioTrain-v0`` under which the agent plays, and ``files`` of the agent, paths of what it is
made of, such as its weights.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from gymnasium import Env, spaces
from numpy.typing import NDArray

from mario_agents.acting.environments import make_env
from mario_agents.evaluation.baselines import BASELINES
from mario_envkit.errors import AgentError
from mario_envkit.files import sha256_of
from mario_envkit.plugins import Policy

Kind = Literal["run", "python", "sb3", "baseline"]


@dataclass(frozen=True, slots=True)
class Agent:
    """What an evaluation measures.

    Attributes:
        name: for people.
        kind: where it is from: a run of a trainer, Python code, Stable-Baselines3, or one of
            :data:`~mario_agents.evaluation.baselines.BASELINES`.
        policy: how it plays.
        env_kwargs: keyword arguments of ``MarioTrain-v0`` under which it does.
        files: SHA-256 of what it is made of, by the names of the files: weights, or source code.
    """

    name: str
    kind: Kind
    policy: Policy
    env_kwargs: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


def load_agent(target: str, given: Mapping[str, Any]) -> Agent:
    """An agent by what users write.

    Args:
        target: ``FILE.py:NAME``, ``MODULE:NAME``, or the name of a baseline.
        given: keyword arguments of the environment that win over those of the agent.

    Raises:
        AgentError: if there is no such agent, or it is none.
        MarioEnvkitError: if the environment cannot be made.
    """
    found, source = _find(target)
    env_kwargs = {**_env_kwargs_of(found, target), **given}
    env = make_env(env_kwargs)
    try:
        agent = _made(found, target, env)
        policy = BatchPolicy(agent, actions_of(env, target), target)
    finally:
        env.close()
    return Agent(
        name=target if target in BASELINES else target.rpartition(":")[2],
        kind="baseline" if target in BASELINES else "python",
        policy=policy,
        env_kwargs=env_kwargs,
        files=digests([*([source] if source else []), *getattr(agent, "files", ())], target),
    )


def digests(paths: list[Any], target: str) -> dict[str, str]:
    """SHA-256 of files by their names.

    Raises:
        AgentError: if one cannot be read.
    """
    try:
        return {Path(path).name: sha256_of(Path(path)) for path in paths}
    except OSError as error:
        raise AgentError(
            f"{error.filename}, which the agent {target} is made of, cannot be read: "
            f"{error.strerror}."
        ) from error


def actions_of(env: Env[Any, Any], target: str) -> int:
    """How many actions an environment has.

    Raises:
        AgentError: if they are not numbered.
    """
    if not isinstance(env.action_space, spaces.Discrete):
        raise AgentError(
            f"The actions of {target} would be {env.action_space}; agents are measured on numbered "
            "ones, a gymnasium.spaces.Discrete."
        )
    return int(env.action_space.n)


class BatchPolicy:
    """Implements :class:`mario_envkit.plugins.Policy` with an agent of somebody's own.

    Args:
        agent: has ``act``, or is to be called with observations.
        actions: how many there are to choose from.
        target: what users call it.
    """

    def __init__(self, agent: Any, actions: int, target: str) -> None:
        self._act = getattr(agent, "act", agent)
        self._reset = getattr(agent, "reset", None)
        self._actions, self._target = actions, target
        parameters = _parameters(self._act)
        self._hears_greedy = "greedy" in parameters

    def reset(self, num_envs: int) -> None:
        """Tell the agent that so many games begin."""
        if self._reset is not None:
            self._reset(num_envs)

    def act(self, observations: NDArray[Any], *, greedy: bool) -> NDArray[np.int64]:
        """Choose the actions ``(num_envs,)``.

        Raises:
            AgentError: if the agent's answer is anything else.
        """
        heard = {"greedy": greedy} if self._hears_greedy else {}
        chosen = np.asarray(self._act(observations, **heard))
        if chosen.shape != (len(observations),) or not np.issubdtype(chosen.dtype, np.integer):
            raise AgentError(
                f"{self._target} answered {len(observations)} observations with an array of shape "
                f"{chosen.shape} and type {chosen.dtype}; expected a whole number for each, of "
                f"shape ({len(observations)},)."
            )
        if chosen.min() < 0 or chosen.max() >= self._actions:
            raise AgentError(
                f"{self._target} chose actions from {chosen.min()} to {chosen.max()}, and there "
                f"are those from 0 to {self._actions - 1}; say which it knows with --actions, or "
                "in its env_kwargs."
            )
        return chosen.astype(np.int64)


def _find(target: str) -> tuple[Any, Path | None]:
    """The named object, and the file it is written in."""
    if target in BASELINES:
        return BASELINES[target], Path(inspect.getfile(BASELINES[target]))
    where, _, name = target.rpartition(":")
    if not (where and name.isidentifier()):
        raise AgentError(
            f"There is no agent {target!r}; give FILE.py:NAME, MODULE:NAME, or one of "
            f"{', '.join(BASELINES)}."
        )
    module = _imported(where, target)
    if not hasattr(module, name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise AgentError(
            f"{where} has nothing named {name!r}; it has {', '.join(public) or 'nothing'}."
        )
    file = getattr(module, "__file__", None)
    return getattr(module, name), Path(file) if file else None


def _imported(where: str, target: str) -> ModuleType:
    """The module; what it imports may lie beside it, as for a script, or in this folder."""
    path = Path(where)
    try:
        if path.suffix != ".py":
            _make_importable(Path())
            return import_module(where)
        if not path.is_file():
            raise AgentError(f"There is no file {path}, where the agent {target} should be.")
        _make_importable(path.parent)
        spec = spec_from_file_location(f"agent_in_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[spec.name] = module_from_spec(spec)
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise AgentError(f"The agent {target} cannot be imported: {error}.") from error
    return module


def _make_importable(folder: Path) -> None:
    if str(folder.absolute()) not in sys.path:
        sys.path.append(str(folder.absolute()))


def _env_kwargs_of(found: Any, target: str) -> dict[str, Any]:
    kwargs = getattr(found, "env_kwargs", {})
    if not (isinstance(kwargs, Mapping) and all(isinstance(name, str) for name in kwargs)):
        raise AgentError(
            f"env_kwargs of {target} must be a dictionary of keyword arguments of MarioTrain-v0, "
            f"and is {kwargs!r}."
        )
    return dict(kwargs)


def _made(found: Any, target: str, env: Env[Any, Any]) -> Any:
    """The agent itself, if what was named is a class, or a function that makes it."""
    agent = found
    if isinstance(found, type) or inspect.isroutine(found):
        offered = {"action_space": env.action_space, "observation_space": env.observation_space}
        others = [name for name in _needed(found) if name not in offered]
        if isinstance(found, type) and others:
            raise AgentError(
                f"{target} cannot be made without {', '.join(others)}; name a class that needs no "
                "arguments but action_space and observation_space, or a function that makes it."
            )
        if not others:
            known = _parameters(found)
            agent = found(**{name: space for name, space in offered.items() if name in known})
    if not (hasattr(agent, "act") or callable(agent)):
        raise AgentError(
            f"{target} is no agent: it has no act(observations), and cannot be called with "
            "observations either."
        )
    return agent


def _needed(maker: Any) -> list[str]:
    """What a class cannot be made without; of a function all that it takes, since one that takes
    anything may well be an agent itself."""
    star = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in _parameters(maker).items()
        if not isinstance(maker, type)
        or (parameter.default is parameter.empty and parameter.kind not in star)
    ]


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    """What a function takes; of one that does not say, observations."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {
            "observations": inspect.Parameter("observations", inspect.Parameter.POSITIONAL_ONLY)
        }
