"""Options that change while a run goes on."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import Schedule, make_config, read_options
from mario_agents.config.schedules import parse_schedule
from mario_agents.config.train_config import STICKY
from mario_agents.core.algorithm import Spaces
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.worker_envs import WorkerEnvs
from mario_envkit.errors import ConfigError
from mario_envkit.game.reward_options import weights_of
from mario_envkit.plugins import load_trainer
from tests.agents.test_initial import config_of
from tests.agents.trained_run import assert_equal, rows, train, weights

LINES = {
    "gamma": "0.9:0.97",
    "reward_weights.death": "5:25@256-1024",
    "reward_weights.stall": "0:10",
    "repeat_action_probability": "0:0.5@512",
}


def ppo(**options: Any) -> PPOConfig:
    return make_config(PPOConfig, {"schedule": LINES, **options}, source="test")


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("0.01:0.001", Schedule(0.01, 0.001, 0, 4000)),
        ("0:.4@1e3", Schedule(0.0, 0.4, 0, 1000)),
        ("5:25@1000-2000", Schedule(5.0, 25.0, 1000, 2000)),
        ("1e-2:1@5-5", Schedule(0.01, 1.0, 5, 5)),
        ("0:1@25%", Schedule(0.0, 1.0, 0, 1000)),
        ("0:1@12.5%-3e3", Schedule(0.0, 1.0, 500, 3000)),
        ("1:1@25%,2:3", Schedule(1.0, 1.0, 0, 1000, Schedule(2.0, 3.0, 1000, 4000))),
        (
            "1:2@10, 3:4@20-30, 5:5",
            Schedule(1.0, 2.0, 0, 10, Schedule(3.0, 4.0, 20, 30, Schedule(5.0, 5.0, 30, 4000))),
        ),
    ],
)
def test_what_is_written_is_meant(text: str, schedule: Schedule) -> None:
    assert parse_schedule("gamma", text, 4000) == schedule


def test_a_file_may_have_them_without_quotes(tmp_path: Path) -> None:
    """YAML has a number to the base 60 where others see a line."""
    file = tmp_path / "options.yaml"
    file.write_text("lr: 1e-3\nschedule: {reward_weights.death: 5:25, gamma: 0.9:0.97@1e6}\n")
    assert read_options(file) == {
        "lr": 1e-3,
        "schedule": {"reward_weights.death": "5:25", "gamma": "0.9:0.97@1e6"},
    }


def test_a_line_is_straight_and_ends() -> None:
    line = Schedule(5.0, 25.0, 1000, 3000)
    assert [line(step) for step in (0, 1000, 1500, 2000, 3000, 9999)] == [5, 5, 10, 15, 25, 25]
    assert Schedule(1.0, 2.0, 0, 0)(0) == 2.0


def test_a_line_may_be_a_jump_and_another_one_may_follow() -> None:
    jump = Schedule(5.0, 25.0, 1000, 1000)
    assert [jump(step) for step in (0, 999, 1000, 9999)] == [5, 5, 25, 25]
    lines = parse_schedule("lr", "8:4@10%,6:2@20%-40%", 1000)
    assert [lines(step) for step in (0, 50, 99, 100, 150, 199)] == pytest.approx(
        [8, 6, 4.04, 4, 4, 4]
    )
    assert [lines(step) for step in (200, 300, 400, 1000)] == [6, 4, 2, 2]
    assert lines.corners == (8, 4, 6, 2)


def test_the_learning_rate_of_ppo_follows_its_schedule() -> None:
    config = ppo(
        schedule={"lr": "1e-3:1e-3@25%,5e-4:1e-4"}, lr=3e-3, lr_warmup=9,
        num_envs=4, rollout_steps=16, minibatch_size=16, epochs=2, total_steps=6400,
    )  # fmt: skip
    algorithm = PPOAlgorithm()
    updater = algorithm.updater(config, algorithm.learner(config, Spaces((2, 16, 16), 5)))
    rate, packets = updater.groups[0].lr, 800
    assert config.total_packets == packets
    assert rate(0) == rate(packets // 4 - 1) == 1e-3
    assert rate(packets // 4) == 5e-4
    assert rate(packets * 5 // 8) == pytest.approx(3e-4)
    assert rate(packets) == rate(packets + 9) == 1e-4


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            {"lr_min": "1:2"},
            "lr_min cannot change while a run goes on; what can is entropy_coef, gamma, lr, "
            "repeat_action_probability, reward_weights.TERM",
        ),
        ({"gamma": "0.9"}, "gamma = '0.9' is not START:END"),
        ({"gamma": "0.9:0.95@9-3"}, "is not START:END"),
        ({"gamma": "nan:0.95"}, "is not START:END"),
        ({"gamma": "0.9:0.95@1.5"}, "is not START:END"),
        ({"gamma": "0.9:0.95@150%"}, "is not START:END"),
        ({"gamma": "0.9:0.95@50%,0.9:0.95@40%-60%"}, "nor several of these in their order"),
        ({"gamma": "0.9:0.95,"}, "is not START:END"),
        ({"lr": "1e-3:1e-3@25%,0:1e-4"}, "lr = 0.0 is not valid"),
        ({"gamma": "0.9:1.2"}, "gamma = 1.2 is not valid"),
        ({"repeat_action_probability": "0:1"}, "repeat_action_probability = 1.0 is not valid"),
        ({"reward_weights.death": "-1:2"}, "'death': -1.0} is not valid"),
        ({"reward_weights.deth": "1:2"}, "there is no term 'deth'; did you mean 'death'"),
    ],
)
def test_the_rest_is_refused_in_a_sentence(schedule: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        ppo(schedule=schedule)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="price for stalls"):
        ppo(stall_limit=None)
    with pytest.raises(ConfigError, match="a number for each environment, and a schedule"):
        ppo(repeat_action_probability=[0.1, 0.2])
    apex = load_trainer("apex").config_class
    with pytest.raises(ConfigError, match="what can is repeat_action_probability, reward_weights"):
        make_config(apex, {"schedule": {"gamma": "0.9:0.95"}}, source="test")


def test_an_older_option_is_a_line_too_and_a_schedule_wins() -> None:
    config = ppo(schedule={}, entropy_coef=0.02, entropy_coef_end=0.01, total_steps=100)
    assert config.scheduled("entropy_coef") == Schedule(0.02, 0.01, 0, 100)
    config = dataclasses.replace(config, schedule={"entropy_coef": "0.5:0.25@50"})
    assert config.scheduled("entropy_coef") == Schedule(0.5, 0.25, 0, 50)


@pytest.mark.parametrize("snapshots", [False, True])
@pytest.mark.parametrize("native", [False, True], ids=["one by one", "vector"])
def test_games_are_what_the_step_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: bool, snapshots: bool
) -> None:
    if not native:
        monkeypatch.setattr("mario_agents.acting.environments.native.is_available", lambda: False)
    config = ppo(num_envs=2, snapshots=snapshots, total_steps=2000)
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=config)
    with closing(WorkerEnvs(PPOAlgorithm(), config, run)) as games:
        games.envs.reset(seed=0)
        for step, death, stall, sticky in ((0, 5, 0, 0), (640, 15, 3.2, 0.5), (9999, 25, 10, 0.5)):
            games.follow_schedules(step)
            envs: Any = games.envs.unwrapped
            if native:
                function = envs.single.unwrapped.reward_function
                chances = {layer.repeat_action_probability for layer in envs.chances.sticky_actions}
            else:
                function = envs.envs[1].unwrapped.reward_function
                chances = {envs.envs[1].get_wrapper_attr("repeat_action_probability")}
            found = weights_of(function)
            assert (found["death"], found["stall"]) == pytest.approx((death, stall))
            assert chances == {sticky}
            games.envs.step([1, 1])


def test_evaluations_count_by_what_schedules_end_with() -> None:
    kwargs = ppo().env_kwargs()
    assert kwargs["reward_weights"] == {"death": 25.0, "stall": 10.0}
    assert kwargs["repeat_action_probability"] == 0.5
    assert "reward_weights" not in PPOConfig().env_kwargs()
    lines = {"reward_weights.death": "5:9@25%,25:20", STICKY: "0.1:0.1@25%,0.4:0.3"}
    kwargs = ppo(schedule=lines).env_kwargs()
    assert (kwargs["reward_weights"], kwargs[STICKY]) == ({"death": 20.0}, 0.4)


@pytest.mark.parametrize("name", ["ppo", "ddqn", "a3c", "dreamer"])
@pytest.mark.slow
def test_a_line_without_a_slope_is_the_option(name: str, tmp_path: Path) -> None:
    """So what a schedule says reaches the loss: it is as if the option had said it."""
    options = {"gamma": 0.8}
    other = {"entropy_coef": 0.05} if name in ("ppo", "dreamer") else {}
    other = {"entropy_beta": 0.05} if name == "a3c" else other
    ends = {f"{key}_end": value for key, value in other.items() if name != "dreamer"}
    trainer: Any = load_trainer(name)
    given = {**options, **other}
    schedule = {key: f"{value}:{value}" for key, value in given.items()}
    said = config_of(name, **given, **ends, noop_max=0)
    lines = config_of(name, schedule=schedule, noop_max=0)
    plain = config_of(name, noop_max=0)
    found = [
        weights(train(trainer, config, tmp_path / str(number), name=name))
        for number, config in enumerate((said, lines, plain))
    ]
    if name in ("ppo", "ddqn"):
        assert_equal(found[0], found[1])
    differ = [
        max(float((a[key].float() - found[0][key].float()).abs().max()) for key in a)
        for a in found[1:]
    ]
    assert differ[0] <= 0.02 * differ[1]  # a number of 32 bits instead of 64


def test_a_run_measures_them_and_goes_on_with_them(tmp_path: Path) -> None:
    """Half of a run, resumed, has the values of a whole one, step by step."""
    trainer: Any = load_trainer("ppo")
    lines = {"gamma": "0.9:0.97@1024", "repeat_action_probability": "0:0.5@1024"}
    options = {"schedule": lines, "log_interval": 128, "num_envs": 8}
    whole = train(trainer, config_of("ppo", **options, total_steps=1024), tmp_path / "whole")
    half = train(trainer, config_of("ppo", **options, total_steps=512), tmp_path / "half")
    config = config_of("ppo", **options, total_steps=1024)
    RunDir.open(half).with_config(config)
    trainer.train(config, half, resume=True)
    names = ("step", "scheduled_gamma", "scheduled_repeat_action_probability")
    ours, theirs = ([[row[n] for n in names] for row in rows(path)] for path in (whole, half))
    assert ours == theirs
    assert [float(row[1]) for row in ours] == sorted({float(row[1]) for row in ours})
    # What is measured is what the round was played with, which began before its steps counted.
    assert 0.9 <= float(ours[0][1]) < float(ours[-1][1]) < 0.97
    assert CheckpointStore(half / "checkpoint").load_latest().step == 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
@pytest.mark.parametrize("share", ["gradients", "experience"])
def test_workers_have_them(tmp_path: Path, share: str) -> None:
    name = "ppo" if share == "gradients" else "impala"
    trainer: Any = load_trainer(name)
    config = make_config(
        trainer.config_class,
        {
            "schedule": {"gamma": "0.8:0.95", "reward_weights.death": "5:25"},
            "workers": 2, "num_envs": 8, "total_steps": 4096, "log_interval": 256,
            "snapshots": False, "eval_interval": 0, "ui": False, "device": "cpu",
        },
        source="test",
    )  # fmt: skip
    path = train(trainer, config, tmp_path / "run", name=name)
    for worker in ("worker_0", "worker_1"):
        found = [float(row["scheduled_reward_weights_death"]) for row in rows(path, worker)]
        assert found == sorted(found)
        assert 5 <= found[0] < found[-1] < 25


def test_the_video_of_a_flag_knows_how_sticky_actions_were() -> None:
    from mario_agents.playback.first_success import _changes

    assert list(_changes([0.0, 0.0, 0.25, 0.25, 0.5])) == [(0, 0.0), (2, 0.25), (4, 0.5)]
    assert not list(_changes([]))
