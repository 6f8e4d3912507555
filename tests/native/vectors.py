"""The vector environment against Gymnasium's SyncVectorEnv over single environments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv
from numpy.typing import NDArray

import mario_envkit  # noqa: F401 - registers the environments

Actions = Iterator[NDArray[np.int64]]


def make_both(
    env_id: str,
    num_envs: int,
    *,
    levels: list[Any] | None = None,
    num_threads: int = 2,
    autoreset_mode: str = "NextStep",
    **kwargs: Any,
) -> tuple[VectorEnv, SyncVectorEnv]:
    """The same environments twice: native, and one by one with wrappers."""
    extra = {} if levels is None else {"levels": levels}
    vector = gymnasium.make_vec(
        env_id, num_envs, num_threads=num_threads, autoreset_mode=autoreset_mode, **extra, **kwargs
    )
    own = [own_arguments(i, levels, kwargs) for i in range(num_envs)]
    singles = SyncVectorEnv(
        [lambda i=i: gymnasium.make(env_id, backend="native", **{**kwargs, **own[i]})
         for i in range(num_envs)],
        autoreset_mode=autoreset_mode,
    )  # fmt: skip
    return vector, singles


def own_arguments(env: int, levels: list[Any] | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a single environment gets of arguments that have a value for each game."""
    own = {} if levels is None else {"level": levels[env]}
    sticky = kwargs.get("repeat_action_probability")
    return {**own, "repeat_action_probability": [sticky[env]]} if isinstance(sticky, list) else own


def assert_same(ours: Any, theirs: Any, where: str) -> None:
    """The same types, dtypes, shapes and values, all the way down.

    But for one: where an environment has no text to give, Gymnasium says None and we say "".
    """
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), where
        for key, value in theirs.items():
            if f"_{key}" in theirs and type(ours[key]) is np.ndarray and type(ours[key][0]) is str:
                value = np.where(theirs[f"_{key}"], value, "").astype(object)
            assert_same(ours[key], value, f"{where}[{key!r}]")
    elif isinstance(theirs, tuple):
        for i, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(our, their, f"{where}[{i}]")
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype, where
        assert ours.shape == theirs.shape, where
        if theirs.dtype == object:
            for i, (our, their) in enumerate(zip(ours, theirs, strict=True)):
                assert_same(our, their, f"{where}[{i}]")
        else:
            assert ours.tobytes() == theirs.tobytes() or np.array_equal(ours, theirs), (
                f"{where}: {ours} instead of {theirs}"
            )
    else:
        assert type(ours) is type(theirs), where
        assert ours == theirs, f"{where}: {ours} instead of {theirs}"


class Counts(dict[str, int]):
    """What a comparison has met with, so that tests can insist on it."""

    def note(self, step: tuple[Any, ...]) -> None:
        _, _, terminated, truncated, infos = step
        events = infos.get("final_info", infos)
        for name, happened in {
            "terminated": terminated, "truncated": truncated,
            "died": events["died"], "flags": events["flag_get"],
        }.items():  # fmt: skip
            self[name] = self.get(name, 0) + int(np.count_nonzero(happened))


def compare(
    vector: VectorEnv, singles: SyncVectorEnv, steps: int, act: Callable[[int], Any], seed: int = 0
) -> Counts:
    """Play both for some steps; any difference is an AssertionError that says where."""
    counts = Counts()
    disabled = vector.metadata["autoreset_mode"].value == "Disabled"
    assert_same(vector.reset(seed=seed), singles.reset(seed=seed), "reset")
    for number in range(steps):
        actions = act(number)
        ours, theirs = vector.step(actions), singles.step(actions)
        names = ("observations", "rewards", "terminations", "truncations", "infos")
        for name, our, their in zip(names, ours, theirs, strict=True):
            assert_same(our, their, f"step {number}, {name}")
        counts.note(theirs)
        over = theirs[2] | theirs[3]
        if disabled and over.any():
            # Gymnasium takes the mask out of the dictionary.
            assert_same(
                vector.reset(options={"reset_mask": over}),
                singles.reset(options={"reset_mask": over}),
                f"reset after step {number}",
            )
    vector.close()
    singles.close()
    return counts


def hold_some(num_envs: int, num_actions: int, seed: int) -> Callable[[int], NDArray[np.int64]]:
    """Random actions, each held for a while; most go right."""
    rng = np.random.default_rng(seed)
    held = np.zeros(num_envs, np.int64)

    def act(number: int) -> NDArray[np.int64]:
        again = rng.random(num_envs) < 0.2
        held[again] = rng.integers(0, num_actions, num_envs)[again]
        return held.copy()

    return act
