"""Configurations from files, their limits, and what may change on resume."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import msgspec.inspect
import pytest
from msgspec import Meta

from mario_agents.acting.environments import make_env
from mario_agents.algos.dqn.config import DDQNConfig
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.commands.option_groups import grouped_command_line
from mario_agents.commands.train import StartOptions
from mario_agents.config import (
    TrainConfig,
    check_resume,
    make_config,
    read_options,
    to_plain,
    validate,
)
from mario_agents.config.train_config import GROUPS
from mario_envkit.errors import ConfigError, OptionError


@dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    lr: Annotated[float, Meta(gt=0)] = 1e-3
    sizes: tuple[int, ...] = (32, 64)


def test_yaml_reads_what_people_write(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("level: 1-2\nlr: 1e-4\ntotal_steps: 5000\nstall_limit: null\nsizes: [1, 2]\n")
    config = make_config(Config, read_options(path), source=path.name)
    assert config == Config(level="1-2", lr=1e-4, total_steps=5000, stall_limit=None, sizes=(1, 2))


def test_json_round_trip(tmp_path: Path) -> None:
    config = Config(level="8-4", max_minutes=2.5, sizes=(7,))
    path = tmp_path / "options.json"
    path.write_text(json.dumps(to_plain(config)))
    assert make_config(Config, read_options(path), source="options") == config


def test_config_json_of_a_run_serves_as_options(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"trainer": "x", "version": "1", "config": {"lr": 0.5}}))
    assert read_options(path) == {"lr": 0.5}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"total_step": 5}, "no option 'total_step'; did you mean 'total_steps'?"),
        ({"total-steps": 5}, "did you mean 'total_steps'?"),
        ({"RESUMABLE": []}, "no option 'RESUMABLE'"),
        ({"num_envs": 0}, "num_envs = 0 is not valid: expected int >= 1"),
        ({"num_envs": "many"}, "num_envs = 'many' is not valid: expected int"),
        ({"num_envs": True}, "num_envs = True is not valid: expected int"),
        ({"level": 11}, "level = 11 is not valid: expected str"),
        ({"reward": "v8"}, "reward = 'v8' is not valid: invalid enum value 'v8'"),
        ({"lr": 0}, "lr = 0 is not valid: expected float > 0"),
        ({"lr": float("nan")}, "lr = nan must be a finite number"),
        ({"repeat_action_probability": 1.5}, "expected float < 1"),
        ({"repeat_action_probability": [0.1, 1]}, "repeat_action_probability[1] = "),
        ({"repeat_action_probability": [0.1]}, "length >= 2"),
        ({"repeat_action_probability": [0.1] * 9}, "has 9 numbers for 8 environments"),
        ({"sizes": [1, "x"]}, "sizes[1] = [1, 'x'] is not valid: expected int"),
        ({"total_steps": 1.5}, "total_steps = 1.5 is not valid: expected int"),
        ({"total_steps": "1e6"}, "total_steps = '1e6' is not valid: expected int"),
        ({"total_steps": -1e6}, "expected int >= 1"),
        ({"sizes": [1e2, 2.5]}, "sizes[1] ="),
        ({"stall_limit": 2.5}, "stall_limit = 2.5 is not valid"),
        ({"actions": [["right", "C"]]}, "There is no button 'C'"),
        ({"reward_weights": {"deaths": 1}}, "there is no term 'deaths'; did you mean 'death'?"),
        ({"show_buttons": True}, "show_buttons is for tiles"),
        ({"show_level": True}, "show_level is for tiles"),
        ({"reward_weights": {"death": -1}}, "expected float >= 0"),
        ({"reward_weights": {"stall": 1}, "stall_limit": None}, "say when with a stall_limit"),
        ({"actions": []}, "actions=[] leaves nothing to do"),
        ({"actions": {"right": 1}}, "is not possible; give a name or lists of buttons"),
        (
            {"start_states": 0.3, "snapshots": False},
            "start_states, backward and along need snapshots",
        ),
        ({"backward": "1-1.json", "snapshots": False}, "leave out --no-snapshots"),
        ({"backward": "1-1.json", "start_states": 0.3}, "both say where episodes begin"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(Config, values, source="options.yaml")
    assert str(caught.value).startswith("options.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "", "must be a .yaml, .yml or .json file"),
        ("a.yaml", "- 1\n- 2\n", "must map option names to values"),
        ("a.yaml", "1: 2\n", "must map option names to values"),
        ("a.yaml", "level: [1\n", "is not valid yaml"),
        ("a.yaml", "level: !!python/object/apply:os.getcwd []\n", "is not valid yaml"),
        ("a.json", "{", "is not valid json"),
        ("a.json", None, "Cannot read the configuration"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_options(path)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("# nothing yet\n")
    assert make_config(Config, read_options(path), source="a.yml") == Config()


def test_validate_catches_what_a_constructor_lets_through() -> None:
    with pytest.raises(ConfigError, match="command line: frame_skip = 0"):
        validate(Config(frame_skip=0), source="command line")
    assert validate(Config(), source="command line") == Config()


def test_resume_allows_budgets_and_refuses_another_experiment() -> None:
    stored = Config()
    check_resume(stored, replace(stored, total_steps=7, max_minutes=1.0, device="cpu"))
    with pytest.raises(ConfigError, match=r"lr = 0\.001 and cannot be resumed with 0\.5"):
        check_resume(stored, replace(stored, lr=0.5))


def test_plain_values_have_the_defaults_too() -> None:
    config = make_config(TrainConfig, {"seed": 3}, source="test")
    assert to_plain(config) == to_plain(TrainConfig(seed=3))
    assert set(to_plain(config)) == {field.name for field in fields(TrainConfig)}


def test_every_common_option_is_in_one_group() -> None:
    by_group = [{field.name for field in fields(group)} for group in GROUPS]
    assert sorted(chain(*by_group)) == sorted(to_plain(TrainConfig()))
    assert set(TrainConfig.__bases__) == set(GROUPS)
    for group, names in zip(GROUPS, by_group, strict=True):
        assert names >= group.RESUMABLE | group.PATHS
        assert group.RESUMABLE <= TrainConfig.RESUMABLE
        assert group.PATHS <= TrainConfig.PATHS


def test_what_the_agent_sees_follows_the_options() -> None:
    greys = make_config(
        Config,
        {"palette": [7] * 32, "screen_size": [52, 64], "crop_top": 32, "frame_stack": 2},
        source="a.yaml",
    )
    env = make_env(greys.env_kwargs())
    observation, _ = env.reset()
    assert observation.shape == (2, 52, 64)
    assert (observation == 7).all()
    assert make_env(Config(observation="tiles").env_kwargs()).observation_space.shape == (2, 16, 16)
    assert list(to_plain(greys)["palette"]) == [7] * 32
    assert validate(greys, source="itself") == greys


@pytest.mark.parametrize("palette", ["green", [1, 2, 3], [256] * 32])
def test_palettes_that_are_none(palette: Any) -> None:
    with pytest.raises(ConfigError, match="palette"):
        make_config(Config, {"palette": palette}, source="a.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.yaml",
            "total_steps: 1e6\nsizes: [1e2, 3]\nstall_limit: 2.0e+2\nscreen_size: [5e1, 64]\n",
        ),
        (
            "a.json",
            '{"total_steps": 1e6, "sizes": [1e2, 3], "stall_limit": 2e2, "screen_size": [5e1, 64]}',
        ),
    ],
)
def test_whole_numbers_may_be_written_with_an_exponent(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    config = make_config(Config, read_options(path), source=name)
    assert repr(config) == repr(
        Config(total_steps=1_000_000, sizes=(100, 3), stall_limit=200, screen_size=(50, 64))
    )


def test_actions_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("actions: [[right, A], [left], []]\n")
    config = make_config(Config, read_options(path), source="a.yaml")
    assert config.actions == "right+A,left,NOOP"
    assert make_config(Config, json.loads(json.dumps(to_plain(config))), source="a") == config
    assert make_config(Config, {"actions": "right+A,left,noop"}, source="a").actions
    for actions in ("right+A,left,noop", "right + A, left, NOOP", [["right", "A"], ["left"], []]):
        env = make_env(Config(actions=actions).env_kwargs())  # type: ignore[arg-type]
        assert env.get_wrapper_attr("get_action_meanings")() == ["A+RIGHT", "LEFT", "NOOP"]
        env.close()
    for wrong in ("simpel", "right+C,left", "right,,left", "right++A"):
        with pytest.raises(OptionError, match=r"right_only, .*, or combinations .*right\+A,left"):
            make_env(Config(actions=wrong).env_kwargs())


NUMBERS: dict[str, tuple[float, ...]] = {
    "lr": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
    "lr_min": (0.0, 1e-6, 1e-5),
    "buffer_size": (33, 64, 100, 1000, 4096, 300_000),
    "minibatch_size": (2, 10, 96, 100, 300, 512, 4096, 8192),
    "frame_stack": (2, 3, 7),
}
"""Values to try of numbers to which more applies than their limits."""
WHOLE = (0, 1, 2, 3, 7, 10, 33, 64, 100, 240, 1000, 4096, 300_000)
REAL = (0.0, 1e-4, 0.1, 0.5, 0.99, 1.0, 2.5, 1000.0)


def legal_values(field: msgspec.inspect.Field) -> list[float]:
    """Numbers within the limits that the type of an option says."""
    types = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
    values: list[float] = []
    for kind in types:
        if isinstance(kind, (msgspec.inspect.IntType, msgspec.inspect.FloatType)):
            tried = WHOLE if isinstance(kind, msgspec.inspect.IntType) else REAL
            values += [
                number
                for number in NUMBERS.get(field.name, tried)
                if (kind.ge is None or number >= kind.ge)
                and (kind.gt is None or number > kind.gt)
                and (kind.le is None or number <= kind.le)
                and (kind.lt is None or number < kind.lt)
            ]
    return values


@pytest.mark.parametrize("config_class", [TrainConfig, DDQNConfig, PPOConfig])
@pytest.mark.slow
def test_no_default_contradicts_another_option_that_is_given_alone(config_class: Any) -> None:
    info = msgspec.inspect.type_info(config_class)
    assert isinstance(info, msgspec.inspect.DataclassType)
    tried = 0
    of_the_game = set(config_class().env_kwargs())
    for field in info.fields:
        for value in legal_values(field):
            if (field.name, value) in {("rollout_steps", 1), ("num_envs", 300_000)}:
                continue
            config = make_config(config_class, {field.name: value}, source="alone")
            resolved = config.resolved()
            assert getattr(resolved, field.name) == value
            assert make_config(config_class, to_plain(resolved), source="stored") == resolved
            if field.name in of_the_game:
                make_env(config.env_kwargs()).close()
            tried += 1
    assert tried > 100


def test_what_is_left_out_follows_what_is_given() -> None:
    assert (DDQNConfig().lr_end, DDQNConfig(lr=1e-6).lr_end) == (1e-5, 1e-6)
    assert DDQNConfig(lr_min=0.0).lr_end == 0
    assert DDQNConfig().replay == (128, 2_000, 100_000)
    assert DDQNConfig(batch_size=4096).replay == (4096, 4096, 100_000)
    assert DDQNConfig(learning_starts=64).replay == (64, 64, 100_000)
    assert DDQNConfig(learning_starts=200_000).replay == (128, 200_000, 200_000)
    assert DDQNConfig(buffer_size=100).replay == (100, 100, 100)
    assert (PPOConfig().lr_end, PPOConfig(lr=1e-4).lr_end) == (1e-3, 1e-4)
    assert PPOConfig(lr=1e-2).lr_end == 1e-3
    sizes = {
        (64, 256): PPOConfig(),
        (64, 320): PPOConfig(num_envs=10),
        (64, 64): PPOConfig(num_envs=1),
        (75, 300): PPOConfig(minibatch_size=300),
        (128, 8192): PPOConfig(minibatch_size=8192),
        (10, 320): PPOConfig(rollout_steps=10),
    }
    for expected, config in sizes.items():
        assert (config.steps, config.batch) == expected
    assert TrainConfig().rows_cut == 32
    assert TrainConfig(screen_size=240).rows_cut == 0
    assert TrainConfig(screen_size=240, crop_top=5).rows_cut == 5
    stored = DDQNConfig(device="cpu").resolved()
    assert (stored.lr_min, stored.buffer_size, stored.crop_top) == (1e-5, 100_000, 32)
    assert PPOConfig(device="cpu").resolved().minibatch_size == 256


def test_learning_rates_grow_with_workers_that_wait_for_one_another_only() -> None:
    assert TrainConfig(workers=2, synchronous=True, lr_scaling="sqrt").lr_scaling == "sqrt"
    assert TrainConfig(lr_scaling="sqrt").workers == 0
    with pytest.raises(ConfigError, match="add --synchronous, or give --lr-scaling none"):
        TrainConfig(workers=2, lr_scaling="linear")


def test_stickiness_of_each_game() -> None:
    config = make_config(Config, {"repeat_action_probability": [0, 0.25, 0.5]}, source="test")
    assert config.stickiness(5) == [0, 0.25, 0.5, 0, 0.25]
    assert config.env_kwargs()["repeat_action_probability"] == 0
    assert Config(repeat_action_probability=0.1).stickiness(2) == [0.1, 0.1]


@pytest.mark.parametrize(
    ("words", "sticky", "weights"),
    [
        (["--repeat-action-probability", "0", "0.25", "0.5"], (0, 0.25, 0.5), {}),
        (["--repeat-action-probability", "0.4", "--lr", "1e-3"], 0.4, {}),
        (["--reward-weights", "death=25", "stall=2", "--lr", "1e-3"], 0, {"death": 25, "stall": 2}),
        (["--reward-weights"], 0, {}),
    ],
)  # fmt: skip
def test_several_words_of_one_option(words: list[str], sticky: Any, weights: Any) -> None:
    config = grouped_command_line(StartOptions, PPOConfig(), name="ppo", summary="").parse(words)
    assert config.repeat_action_probability == sticky
    assert config.reward_weights == weights


def test_who_stops_at_success_has_to_look_for_it() -> None:
    assert TrainConfig(stop_at_success=0.9).eval_interval > 0
    with pytest.raises(ConfigError, match="stop_at_success needs evaluations"):
        TrainConfig(stop_at_success=0.9, eval_interval=0)
