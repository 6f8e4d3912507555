"""Configurations from files, their limits, and what may change on resume."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta

from mario_agents.config import (
    TrainConfig,
    check_resume,
    make_config,
    read_options,
    to_plain,
    validate,
)
from mario_agents.environments import make_env
from mario_envkit.errors import ConfigError


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
        ({"repeat_action_probability": 1.5}, "expected float <= 1"),
        ({"sizes": [1, "x"]}, "sizes[1] = [1, 'x'] is not valid: expected int"),
        ({"start_states": 0.3, "snapshots": False}, "start_states and backward need snapshots"),
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


def test_every_resumable_field_exists() -> None:
    assert set(TrainConfig.RESUMABLE) <= set(to_plain(TrainConfig()))


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
