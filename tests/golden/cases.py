"""Short training runs that together visit every branch of the built-in algorithms."""

from __future__ import annotations

from typing import Any, NamedTuple

_SHARED: dict[str, Any] = {
    "seed": 7,
    "workers": 0,
    "device": "cpu",
    "precision": "float32",
    "torch_threads": 1,
    "ui": False,
    "eval_interval": 0,
    "checkpoint_interval": 1_000_000,
    "hidden": 64,
}
_DQN: dict[str, Any] = {
    "total_steps": 2_560,
    "num_envs": 8,
    "learning_starts": 256,
    "buffer_size": 1_024,  # it wraps around
    "batch_size": 32,
    "collect_steps": 32,
    "lr_warmup": 50,
}
_PPO: dict[str, Any] = {
    "total_steps": 5_120,
    "num_envs": 16,
    "rollout_steps": 16,
    "minibatch_size": 64,
}
_A3C: dict[str, Any] = {
    "total_steps": 2_560,
    "num_envs": 8,
    "rollout_steps": 16,
    "transformer_memory": 8,
}
_DREAMER: dict[str, Any] = {
    "total_steps": 384,
    "num_envs": 4,
    "learning_starts": 128,
    "buffer_size": 256,  # it wraps around
    "batch_size": 4,
    "batch_length": 8,
    "imagined": 16,
    "horizon": 4,
}
_TILES: dict[str, Any] = {"observation": "tiles", "network": "mlp"}
_PIXELS: dict[str, Any] = {"observation": "pixels", "network": "small", "screen_size": 42}


class Case(NamedTuple):
    """One run.

    Attributes:
        name: in the record.
        trainer: as on the command line.
        options: all that are not the trainer's defaults, by name.
    """

    name: str
    trainer: str
    options: dict[str, Any]


def _cases() -> list[Case]:
    cases = []
    for sees, observation in (("tiles", _TILES), ("pixels", _PIXELS)):
        for snapshots in (True, False):
            shared = {**_SHARED, **observation, "snapshots": snapshots}
            suffix = f"{sees}{'-snapshots' if snapshots else ''}"
            cases.append(Case(f"ppo-{suffix}", "ppo", {**shared, **_PPO}))
            if snapshots:
                options = {**shared, **_DQN, "train_every": 8}
                cases.append(Case(f"apex-{sees}", "apex", options))
            cases += [
                Case(
                    f"ddqn-{suffix}-{'prioritized' if prioritized else 'uniform'}-n{n_step}",
                    "ddqn",
                    {
                        **shared,
                        **_DQN,
                        "epsilon_decay": 2_000,
                        "prioritized": prioritized,
                        "n_step": n_step,
                    },
                )
                for prioritized in (False, True)
                for n_step in (1, 3)
                # Pixels take longest, and what they add has nothing to do with these two.
                if sees == "tiles" or prioritized == snapshots == (n_step == 3)
            ]
    old = {"replay_share": 0.5, "replay_size": 1_024, "per": True, "trust_region": 0.5}
    without = {name: value for name, value in _SHARED.items() if name != "hidden"}
    cases.append(Case("dreamer-tiles", "dreamer", {**without, **_DREAMER, "observation": "tiles"}))
    return cases + [
        Case(f"a3c-{name}", "a3c", {**_SHARED, **_A3C, **options})
        for name, options in (
            ("tiles-gru-noisy", {**_TILES, "recurrent_type": "gru", "noisy": True}),
            ("tiles-transformer", {**_TILES, "recurrent_type": "transformer"}),
            ("pixels-lstm-replay", {**_PIXELS, "recurrent_type": "lstm", **old}),
        )
    ]


CASES = {case.name: case for case in _cases()}
