"""Returns, lengths and progress of running episodes, updated at every step of a vector env."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.telemetry.episodes import CollectResult, Death, Episode
from mario_envkit.game.endings import clears_stage, is_success, stage_of_step


class StepInfo:
    """``info`` by environment, where an ended episode's is found in ``final_info``."""

    def __init__(self, infos: Mapping[str, Any], ended: NDArray[np.bool_]) -> None:
        self._infos, self._ended = infos, ended
        self._sources: list[tuple[Mapping[str, Any], NDArray[np.bool_]]] = [
            (infos, ~ended), (infos.get("final_info", {}), ended)
        ]  # fmt: skip

    def restored(self) -> NDArray[np.bool_]:
        """Where a life was lost and the game went on from a snapshot, within the step."""
        restored: NDArray[np.bool_] = self.get("life_lost", False) & self.get(
            "snapshot_restored", False
        )
        return restored

    def at_death(self) -> StepInfo:
        """The same, but where the game went on from a snapshot within the step it is ``info`` as
        it was at the death, before that."""
        other, restored = StepInfo(self._infos, self._ended), self.restored()
        other._sources = [(source, where & ~restored) for source, where in self._sources]
        other._sources += [
            (source.get("life_lost_info", {}), where & restored) for source, where in self._sources
        ]
        return other

    def led_to(self, obs: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The observations that the step led to, before any reset or restored snapshot.

        Args:
            obs: those that it returned.
        """
        restored = self.restored()
        ended = np.asarray(self._infos.get("_final_obs", False)) & ~restored
        if not (restored.any() or ended.any()):
            return obs
        led: NDArray[np.uint8] = obs.copy()
        for env in np.flatnonzero(ended):
            led[env] = self._infos["final_obs"][env]
        for source, where in self._sources:
            for env in np.flatnonzero(where & restored):
                led[env] = source["life_lost_obs"][env]
        return led

    def get(self, key: str, default: Any) -> NDArray[Any]:
        """``(num_envs,)`` values; ``default`` where an environment does not give the key."""
        kind = object if isinstance(default, str) else type(default)
        values = np.full(self._ended.shape, default, dtype=kind)
        for source, where in self._sources:
            if key in source:
                where = where & source.get(f"_{key}", True)
                values[where] = source[key][where]
        return values

    def begun_elsewhere(self) -> NDArray[np.bool_]:
        """Where the episode began at a snapshot or along a run, not at the start of a level."""
        begun: NDArray[np.bool_] = ~np.isin(self.get("start", "").astype(str), ("", "true"))
        return begun

    def part(self, term: str) -> NDArray[np.float64]:
        """``(num_envs,)``, what a term of the reward was; 0 for one that there is not."""
        values = np.zeros(self._ended.shape)
        for source, where in self._sources:
            parts = source.get("reward_parts", {})
            if term in parts:
                values[where] = parts[term][where]
        return values


class EpisodeTracker:
    """Return, length, progress and flags of the running episode of each environment.

    Everybody who steps a vector environment keeps one, and tells it every step. All of it is done
    on arrays; Python objects are made only for episodes and lives that end.

    What an agent is worth is what it does from the start of a level, by itself. So an episode that
    goes on from a snapshot is shown as if it had ended with the death before that, and what follows
    is not; nor are those that began elsewhere.

    Args:
        num_envs: how many.
        shown: ``(num_envs,)``, whose episodes have ``shown``; None for all.
    """

    def __init__(self, num_envs: int, shown: NDArray[np.bool_] | None = None) -> None:
        self._shown = np.ones(num_envs, dtype=np.bool_) if shown is None else shown
        self._reward = np.zeros(num_envs)
        self._length = np.zeros(num_envs, dtype=np.int64)
        self._best_x = np.zeros(num_envs, dtype=np.int64)
        self._flags = np.zeros(num_envs, dtype=np.int64)
        self._at_flag = np.zeros(num_envs, dtype=np.bool_)
        self._level = np.full(num_envs, "", dtype=object)
        self._helped = np.zeros(num_envs, dtype=np.bool_)

    def step(
        self,
        reward: NDArray[Any],
        ended: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: StepInfo,
        collected: CollectResult,
    ) -> None:
        """Add one step of every environment, and collect the episodes that ended with it.

        Args:
            reward, ended, truncated: ``(num_envs,)``; ended is terminated or truncated.
            info: of the step.
            collected: gets the steps, episodes and deaths.
        """
        x_pos, level = info.get("x_pos", 0), info.get("level", "")
        at_flag = info.get("flag_get", False)
        ending: Any = ""
        if ended.any():
            ending = info.get("ending", "")
            level = stage_of_step(level, ending, self._level)
        self._reward += reward
        self._length += 1
        # x starts anew in another level.
        self._best_x = np.where(level == self._level, np.maximum(self._best_x, x_pos), x_pos)
        self._level = level
        # The flag may stay up for several steps of one full game.
        self._flags += clears_stage(at_flag, ending) & ~self._at_flag
        self._at_flag = at_flag
        collected.steps += len(ended)
        dead = info.get("died", False) | info.get("life_lost", False)
        if dead.any():
            collected.deaths += _deaths(dead, info.at_death())
        restored = info.restored()
        if not (restored.any() or ended.any()):
            return
        shown, none = self._shown & ~self._helped & ~info.begun_elsewhere(), np.zeros_like(ended)
        for env in np.flatnonzero(restored & shown):
            collected.first_lives.append(self._episode(env, none, none, shown, info.at_death()))
        self._helped |= restored
        shown, success = shown & ~self._helped, is_success(ending)
        for env in np.flatnonzero(ended):
            collected.episodes.append(self._episode(env, truncated, success, shown, info))
        for total in (self._reward, self._length, self._best_x, self._flags, self._at_flag):
            total[ended] = 0
        self._level[ended] = ""
        self._helped[ended] = False

    def _episode(
        self,
        env: np.intp,
        truncated: NDArray[np.bool_],
        success: NDArray[np.bool_],
        shown: NDArray[np.bool_],
        info: StepInfo,
    ) -> Episode:
        return Episode(
            env=int(env),
            level=str(self._level[env]),
            reward=float(self._reward[env]),
            length=int(self._length[env]),
            x_pos=int(info.get("x_pos", 0)[env]),
            best_x=int(self._best_x[env]),
            flags=int(self._flags[env]),
            truncated=bool(truncated[env]),
            success=bool(success[env]),
            shown=bool(shown[env]),
        )


def _deaths(dead: NDArray[np.bool_], info: StepInfo) -> list[Death]:
    level, cause = info.get("level", ""), info.get("death_cause", "")
    x_pos, area = info.get("x_pos", 0), info.get("area", -1)
    return [
        Death(str(level[env]), int(x_pos[env]), str(cause[env]), int(area[env]))
        for env in np.flatnonzero(dead)
    ]
