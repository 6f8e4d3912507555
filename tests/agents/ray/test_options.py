"""What is said of options for a cluster before anything is started; without Ray."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from mario_agents.config import make_config
from mario_agents.runtime.ray import cluster
from mario_agents.runtime.ray.cluster import require_ray
from mario_agents.testing.toy import ToyConfig
from mario_envkit.errors import ConfigError, OptionError, RunError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "ray"}, "--engine ray is for runs with workers: give --workers 1 or more"),
        ({"engine": "ray", "workers": 1, "address": "ray://there:10001"}, "Ray client"),
        ({"engine": "slurm"}, "engine"),
        ({"worker_cpus": -1.0}, "worker_cpus"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config(ToyConfig, options, source="test")


def test_a_run_may_be_resumed_on_another_engine() -> None:
    options = {"engine", "address", "worker_cpus", "learner_gpus", "runtime_env"}
    assert options < ToyConfig.RESUMABLE


def test_without_ray_one_sentence_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
    cli: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Any,
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    sentence = '--engine ray needs the package ray: pip install "mario-envkit[ray]".'
    with pytest.raises(OptionError) as caught:
        require_ray()
    assert str(caught.value) == sentence
    done = cli("train", "ppo", "--engine", "ray", "--workers", 1, "--run-dir", "run")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "address", ["somewhere", "localhost:", "localhost:http", "localhost:99999"]
)
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT or auto"):
        cluster.look_for(address)


def test_nobody_at_an_address() -> None:
    with pytest.raises(RunError, match=r"Nobody answers at 127.0.0.1:9 .*: start the cluster with"):
        cluster.look_for("127.0.0.1:9")


@pytest.mark.parametrize("content", ["- a list", "{", "\0"])
def test_a_runtime_environment_is_a_mapping(tmp_path: Any, content: str) -> None:
    file = tmp_path / "env.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match="The runtime environment"):
        cluster.runtime_env(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        cluster.runtime_env(tmp_path / "missing.yaml")
