"""Other libraries run on the environments as they are; what they need is checked without them, too.

Stable-Baselines3 is in ``test_sb3.py``.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

from mario_envkit.errors import OptionError, UnknownArgument
from mario_envkit.integrations.rllib import RLlibEnv

GAME: dict[str, Any] = {"level": "1-1", "screen_size": 42, "reward": "progress"}


def test_importing_the_kit_imports_no_library():
    code = (
        "import sys, mario_envkit, mario_envkit.integrations, mario_envkit.integrations.rllib; "
        "print([name for name in ('torch', 'stable_baselines3', 'ray', 'tianshou', 'torchrl', "
        "'minari', 'pygame') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- RLlib -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (None, (84, 84, 4)),
        ({"screen_size": 42, "level": "1-2"}, (42, 42, 4)),
        ({"frame_stack": 1, "grayscale": False, "screen_size": None}, (240, 256, 3)),
        ({"frame_stack": 2, "grayscale": False}, (84, 84, 6)),
        ({"frame_stack": 1}, (84, 84, 1)),
        ({"id": "MarioTiles-v0"}, (16, 16, 2)),
        ({"id": "MarioTiles-v0", "frame_stack": 1}, (16, 16, 1)),
        ({"observation": "ram", "frame_stack": 1}, (2048,)),
        ({"observation": "ram", "frame_stack": 2}, (4096,)),
        ({"id": "MarioSnapshot-v0", "restore": "on_reset"}, (84, 84, 4)),
    ],
    ids=str,
)
def test_rllib_gets_floats_with_channels_last(config, shape):
    env = RLlibEnv(config)
    assert env.observation_space.shape == shape
    assert env.observation_space.dtype == np.float32
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert observation.dtype == np.float32
    bare = gymnasium.make(**{"id": "MarioTrain-v0", **(config or {})})
    raw, _ = bare.reset(seed=0)
    for action in (1, 1, 3):
        observation, raw = env.step(action)[0], bare.step(action)[0]
        assert observation in env.observation_space
    assert observation.max() == np.float32(raw.max() / 255)
    if len(shape) == 3 and raw.ndim == 3 and raw.shape[-1] != 3:
        assert np.allclose(observation[..., -1] * 255, raw[-1])  # the newest picture
    env.close()
    bare.close()


def test_rllib_configurations_that_are_wrong():
    with pytest.raises(OptionError, match="config=5 is not possible"):
        RLlibEnv(5)
    with pytest.raises(OptionError, match="did you mean 'level'"):
        RLlibEnv({"levl": "1-1"})
    with pytest.raises(OptionError, match="are not bytes"):
        RLlibEnv({"id": "CartPole-v1"})


@pytest.mark.skipif(sys.platform != "linux", reason="Ray is tried on Linux")
def test_rllib_trains():
    ray = pytest.importorskip("ray", reason="RLlib is not installed: pip install 'ray[rllib]'")
    ppo = pytest.importorskip("ray.rllib.algorithms.ppo", reason="only ray is, without [rllib]")
    ray.init(num_cpus=1, include_dashboard=False)
    try:
        config = (
            ppo.PPOConfig()
            .environment(RLlibEnv, env_config={"id": "MarioTrain-v0", **GAME})
            .env_runners(num_env_runners=0, rollout_fragment_length=32)
            .training(train_batch_size_per_learner=32, minibatch_size=32, num_epochs=1)
        )
        algorithm = config.build_algo()
        assert algorithm.train()["num_env_steps_sampled_lifetime"] >= 32
        algorithm.stop()
    finally:
        ray.shutdown()


# -- TorchRL -----------------------------------------------------------------------------------


def test_an_unknown_keyword_is_the_type_error_that_torchrl_reads():
    """Its ``GymEnv`` tries keywords, and leaves those out of which it hears this."""
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as raised:
            make("MarioTrain-v0", frameskip=1)
        assert isinstance(raised.value, UnknownArgument)


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_numeric_infos_have_what_torchrl_reads_of_them(restore):
    env = gymnasium.make("MarioSnapshot-v0", numeric_info=True, restore=restore)
    for value in env.reset(seed=0)[1].values():
        assert value.dtype != object  # a ``dtype`` at all, and not this
    env.close()


@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioSnapshot-v0"])
@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_torchrl_steps_the_vector(env_id, mode):
    torchrl = pytest.importorskip("torchrl.envs", reason="pip install torchrl")
    envs = gymnasium.make_vec(
        env_id, num_envs=3, autoreset_mode=mode, numeric_info=True, max_episode_steps=20, **GAME
    )
    env = torchrl.GymWrapper(envs)
    if mode == "Disabled":
        env.auto_register_info_dict()
    env.set_seed(0)
    rollout = env.rollout(60, break_when_any_done=False)
    assert rollout.batch_size == (3, 60)
    assert rollout["next", "done"].any()
    if mode == "Disabled":
        assert rollout["next", "x_pos"].max() > 40
    env.close()


def test_torchrl_makes_and_checks_single_environments():
    torchrl = pytest.importorskip("torchrl.envs", reason="pip install torchrl")
    env = torchrl.GymEnv("MarioTrain-v0", numeric_info=True, **GAME)
    torchrl.check_env_specs(env)
    env.auto_register_info_dict()
    assert env.rollout(8)["next", "x_pos"].shape == (8,)
    env.close()


# -- Tianshou, Minari, sheeprl -----------------------------------------------------------------


@pytest.mark.parametrize("numeric", [False, True])
@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioTiles-v0", "MarioSnapshot-v0"])
@pytest.mark.slow
def test_tianshou_collects(env_id, numeric):
    pytest.importorskip("tianshou", reason="pip install tianshou")
    from tianshou.algorithm.algorithm_base import Policy
    from tianshou.data import Batch, Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv

    class Right(Policy):
        def forward(self, batch: Any, state: Any = None, **kwargs: Any) -> Any:
            return Batch(act=np.ones(len(batch.obs), np.int64))

    kwargs = {"numeric_info": numeric, "level": "1-1", "stall_limit": 10}
    single = gymnasium.make(env_id, **kwargs)
    envs = DummyVectorEnv([lambda: gymnasium.make(env_id, **kwargs)] * 2)
    buffer = VectorReplayBuffer(200, 2)
    policy = Right(action_space=single.action_space, observation_space=single.observation_space)
    collector = Collector(policy, envs, buffer)
    collector.reset()
    assert collector.collect(n_step=100).n_collected_steps == 100
    batch, _ = buffer.sample(4)
    assert (batch.info.x_pos > 0).all()
    assert batch.info.life_lost.dtype == bool
    envs.close()
    single.close()


@pytest.mark.parametrize("numeric", [False, True])
def test_minari_stores_episodes_with_their_infos(numeric, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari", reason="pip install 'minari[create]'")
    pytest.importorskip("jax", reason="pip install 'minari[create]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = minari.DataCollector(
        gymnasium.make("MarioSnapshot-v0", numeric_info=numeric, max_episode_steps=30, **GAME),
        record_infos=True,
    )
    for episode in range(2):
        env.reset(seed=episode)
        for _ in range(30):
            *_, terminated, truncated, info = env.step(1)
            if terminated or truncated:
                break
    env.create_dataset(dataset_id="mario/right-v0")
    stored = minari.load_dataset("mario/right-v0")
    assert stored.total_episodes == 2
    last = list(stored.iterate_episodes())[-1]
    assert last.infos["x_pos"][-1] == info["x_pos"]
    spec = json.loads(stored.spec.env_spec.to_json())  # of which Minari makes the game again
    assert spec["kwargs"]["numeric_info"] is numeric
    env.close()


def test_sheeprl_trains(tmp_path, monkeypatch):
    pytest.importorskip("sheeprl", reason="pip install sheeprl")
    monkeypatch.chdir(tmp_path)
    arguments = (  # of its command line
        "exp=ppo env=gym env.id=mario_envkit:MarioTrain-v0 +env.wrapper.frame_stack=1 "
        "env.num_envs=2 env.sync_env=True env.screen_size=64 env.capture_video=False "
        "algo.cnn_keys.encoder=[rgb] algo.mlp_keys.encoder=[] algo.rollout_steps=8 "
        "algo.per_rank_batch_size=8 algo.total_steps=16 algo.run_test=False metric.log_level=0 "
        "checkpoint.every=0 fabric.accelerator=cpu"
    )
    command = [sys.executable, "-m", "sheeprl", *shlex.split(arguments)]
    subprocess.run(command, check=True, capture_output=True)
