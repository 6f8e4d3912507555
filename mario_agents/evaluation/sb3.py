"""Models of Stable-Baselines3: what ``eval --sb3 model.zip`` measures.

Such a file holds JSON, weights, and pickles inside the JSON; whoever loads a pickle runs whatever
its author wrote. So the pickles are left alone: spaces are those of our environment, the kind of
policy is told from the names of its weights, its options from what the JSON says in plain values,
and the weights are read by ``torch.load(weights_only=True)``. That is all there is to a model with
one of the library's own policies. One with classes of somebody's own needs ``trust_pickle``.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mario_agents.acting.environments import make_env
from mario_agents.evaluation.agents import Agent, actions_of, digests
from mario_agents.nn.device import resolve_device
from mario_envkit.errors import AgentError, BackendUnavailable
from mario_envkit.files import parse_json

Algorithm = Literal["PPO", "A2C", "DQN", "RecurrentPPO"]
_PICKLED = ":serialized:"
_MODULES = {"RecurrentPPO": "sb3_contrib"}
_EXTRACTORS = ("FlattenExtractor", "NatureCNN", "CombinedExtractor")
_NOT_FOR_ACTING = ("optimizer_class", "optimizer_kwargs")


def load_sb3(
    path: Path,
    given: Mapping[str, Any],
    *,
    algorithm: Algorithm | None = None,
    trust_pickle: bool = False,
    device: str = "auto",
) -> Agent:
    """The agent in a model's file, as ``model.save`` writes it.

    Sampled play draws from torch's global generator, which is seeded here; DQN samples as it
    explored at the end of its training.

    Args:
        path: of the zip file.
        given: keyword arguments of ``MarioTrain-v0`` under which it was trained.
        algorithm: which one trained it; None tells it from the weights.
        trust_pickle: load the policy's class and options from the file's pickles.
        device: where its network lives.

    Raises:
        AgentError: if the file is no such model, or does not fit the environment.
        BackendUnavailable: if the library that made it is not installed.
        MarioEnvkitError: if the environment cannot be made.
    """
    saved = _Saved.read(path)
    name = algorithm or saved.algorithm
    env = make_env(given)
    try:
        actions = actions_of(env, str(path))
        policy = _built(saved, name, env.observation_space, env.action_space, trust_pickle)
    finally:
        env.close()
    torch.manual_seed(0)
    exploration = float(saved.data.get("exploration_rate", 0.0)) if name == "DQN" else 0.0
    return Agent(
        name=f"{path.stem} ({name})",
        kind="sb3",
        policy=Sb3Policy(policy.to(resolve_device(device)), actions, exploration),
        env_kwargs=dict(given),
        files=digests([path], str(path)),
    )


class Sb3Policy:
    """Implements :class:`mario_envkit.plugins.Policy` with a policy of the library.

    Args:
        policy: has ``predict``.
        actions: how many there are.
        exploration: chance of any action, where actions are sampled.
    """

    def __init__(self, policy: Any, actions: int, exploration: float = 0.0) -> None:
        self._policy, self._actions, self._exploration = policy, actions, exploration
        self._rng = np.random.default_rng(0)
        self.reset(0)

    def reset(self, num_envs: int) -> None:
        """Begin so many games: what the policy remembers is forgotten."""
        self._state: Any = None
        self._begins = np.ones(num_envs, np.bool_)

    def act(self, observations: NDArray[Any], *, greedy: bool) -> NDArray[np.int64]:
        """Choose the actions ``(num_envs,)``."""
        if len(observations) != len(self._begins):
            self.reset(len(observations))
        chosen, self._state = self._policy.predict(
            observations, state=self._state, episode_start=self._begins, deterministic=greedy
        )
        self._begins = np.zeros_like(self._begins)
        actions = np.asarray(chosen, np.int64)
        if greedy or not self._exploration:
            return actions
        explores = self._rng.random(len(actions)) < self._exploration
        return np.where(explores, self._rng.integers(self._actions, size=len(actions)), actions)


@dataclass(frozen=True, slots=True)
class _Saved:
    """What a model's file says without loading a pickle.

    Attributes:
        path: of the file.
        data: the JSON.
        weights: of the policy by name.
    """

    path: Path
    data: dict[str, Any]
    weights: dict[str, torch.Tensor]

    @classmethod
    def read(cls, path: Path) -> _Saved:
        try:
            with zipfile.ZipFile(path) as archive:
                data = parse_json(archive.read("data"))
                raw = io.BytesIO(archive.read("policy.pth"))
            weights = torch.load(raw, map_location="cpu", weights_only=True)
        except OSError as error:
            raise AgentError(f"{path} cannot be read: {error.strerror or error}.") from error
        except KeyError as error:
            raise AgentError(
                f"{path} is no model of Stable-Baselines3: {error.args[0]}."
            ) from error
        except (
            zipfile.BadZipFile, ValueError, RuntimeError, EOFError, pickle.UnpicklingError
        ) as error:  # fmt: skip
            reason = str(error).splitlines()[0]
            raise AgentError(f"{path} is no model of Stable-Baselines3: {reason}.") from error
        if not (isinstance(data, dict) and isinstance(weights, Mapping) and weights):
            raise AgentError(f"{path} is no model of Stable-Baselines3: it holds no weights.")
        return cls(path, data, dict(weights))

    @property
    def algorithm(self) -> Algorithm:
        """What trained it, by its weights; PPO and A2C play alike and differ in their options."""
        beginnings = {name.partition(".")[0] for name in self.weights}
        if "lstm_actor" in beginnings:
            return "RecurrentPPO"
        if "q_net" in beginnings:
            return "DQN"
        if "action_net" in beginnings:
            return "PPO" if "clip_range" in self.data else "A2C"
        raise AgentError(
            f"{self.path} was trained by none of {', '.join(get_args(Algorithm))}: it has weights "
            f"named {', '.join(sorted(beginnings))}; play it with --agent FILE.py:NAME."
        )

    @property
    def sees_pictures(self) -> bool:
        """Whether its policy is one of the library's with convolutions."""
        return any("features_extractor.cnn." in name for name in self.weights)


def _built(
    saved: _Saved, name: Algorithm, observations: Any, actions: Any, trust_pickle: bool
) -> nn.Module:
    """The policy with its weights."""
    library = _MODULES.get(name, "stable_baselines3")
    try:
        algorithm = getattr(import_module(library), name)
        from stable_baselines3.common import preprocessing
        from stable_baselines3.common.vec_env import VecTransposeImage
    except ImportError as error:
        raise BackendUnavailable(
            f"{saved.path} needs {library}: pip install {library.replace('_', '-')}."
        ) from error
    if preprocessing.is_image_space(observations) and not (
        preprocessing.is_image_space_channels_first(observations)
    ):
        observations = VecTransposeImage.transpose_space(observations)
    _check_spaces(saved, observations, actions)
    if trust_pickle:
        kind, kwargs = _unpickled(saved)
    else:
        aliases = algorithm.policy_aliases
        suffix = "LstmPolicy" if name == "RecurrentPPO" else "Policy"
        kind = aliases[("Cnn" if saved.sees_pictures else "Mlp") + suffix]
        kwargs = _plain_kwargs(saved)
    try:
        policy: nn.Module = kind(observations, actions, lambda _: 0.0, **kwargs)
        policy.load_state_dict(saved.weights)
    except (TypeError, RuntimeError) as error:
        raise AgentError(
            f"The weights of {saved.path} do not fit {kind.__name__} of {name}: "
            f"{' '.join(str(error).split())[:200]}; if its policy is of another kind, "
            "name the algorithm with --sb3-algo, or see what --trust-pickle does."
        ) from error
    return policy


def _check_spaces(saved: _Saved, observations: Any, actions: Any) -> None:
    """That the model has seen and done what this environment has."""
    trained = saved.data.get("observation_space")
    shape = trained.get("_shape") if isinstance(trained, dict) else None
    if shape is not None and list(shape) != list(observations.shape):
        raise AgentError(
            f"{saved.path} has learned from observations of shape {tuple(shape)}, and these are "
            f"{tuple(observations.shape)}; give the options under which it was trained, such as "
            "--observation, --screen-size and --frame-stack."
        )
    trained = saved.data.get("action_space")
    count = trained.get("n") if isinstance(trained, dict) else None
    if count is not None and str(count) != str(actions.n):
        raise AgentError(
            f"{saved.path} has learned to choose from {count} actions, and there are {actions.n}; "
            "give those with which it was trained with --actions."
        )


def _plain_kwargs(saved: _Saved) -> dict[str, Any]:
    """Options of the policy, from what the JSON says beside the pickles.

    Raises:
        AgentError: if that is not enough, or the policy is none of the library's own.
    """
    kind = saved.data.get("policy_class")
    module = str(kind.get("__module__", "")) if isinstance(kind, dict) else ""
    if not module.startswith(("stable_baselines3.", "sb3_contrib.")):
        raise _needs_trust(saved, f"a policy of its own, from {module or 'nowhere'}")
    kwargs = saved.data.get("policy_kwargs") or {}
    if not isinstance(kwargs, dict):
        raise _needs_trust(saved, f"policy_kwargs {kwargs!r}")
    if _PICKLED not in kwargs:
        return {name: value for name, value in kwargs.items() if name not in _NOT_FOR_ACTING}
    plain: dict[str, Any] = {}
    for name, value in kwargs.items():
        if name.startswith(":") or name in _NOT_FOR_ACTING:
            continue
        plain[name] = _known_class(value) if isinstance(value, str) else value
        if plain[name] is None and value is not None:
            raise _needs_trust(saved, f"{name} = {value}")
    return plain


def _known_class(text: str) -> type[nn.Module] | None:
    """The class that ``str()`` shows so, if it is one of torch's activations or the library's."""
    if match := re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", text):
        return getattr(nn, match[1], None)
    match = re.fullmatch(r"<class 'stable_baselines3\.common\.torch_layers\.(\w+)'>", text)
    if match is None or match[1] not in _EXTRACTORS:
        return None
    found: type[nn.Module] = getattr(
        import_module("stable_baselines3.common.torch_layers"), match[1]
    )
    return found


def _needs_trust(saved: _Saved, what: str) -> AgentError:
    return AgentError(
        f"{saved.path} has {what}, which is stored as a pickle, and loading a pickle runs "
        "whatever code its author put there; if you trust whoever made the file, give "
        "--trust-pickle."
    )


def _unpickled(saved: _Saved) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The policy's class and options from their pickles, whose author is trusted."""
    from stable_baselines3.common.save_util import json_to_data

    wanted = ("policy_class", "policy_kwargs")
    found = json_to_data(json.dumps({key: saved.data[key] for key in wanted if key in saved.data}))
    given = found.get("policy_kwargs") or {}
    kwargs = {name: value for name, value in given.items() if name not in _NOT_FOR_ACTING}
    if not callable(found.get("policy_class")):
        raise AgentError(f"{saved.path} does not say what its policy is; its pickle is damaged.")
    return found["policy_class"], kwargs
