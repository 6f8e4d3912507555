"""Optimizers compute what those of PyTorch do, and load less."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.core.optimizers import adamw

ROOT = Path(__file__).parents[2]

SHORT_RUN = """
import sys
from pathlib import Path

from mario_envkit.plugins import load_trainer
from tests.agents.test_initial import config_of
from tests.agents.trained_run import train

name = sys.argv[1]
options = {"eval_interval": 64, "eval_episodes": 1, "learning_starts": 32, "batch_size": 4}
config = config_of(name, **(options if name == "dreamer" else {}), total_steps=64)
train(load_trainer(name), config, Path(sys.argv[2]), name=name)
loaded = {module.split(".")[1] for module in sys.modules if module.startswith("torch.")}
print(*sorted(loaded & {"_dynamo", "_inductor"}))
"""


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([0.0, 0.1]),
    st.sampled_from([(0.9, 0.999), (0.5, 0.9)]),
)  # fmt: skip
def test_steps_are_those_of_torch_bit_for_bit(
    seed: int, steps: int, weight_decay: float, betas: tuple[float, float]
) -> None:
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = ([torch.nn.Parameter(torch.full(size, 0.5)) for size in ((3, 2), (1,))]
                    for _ in range(2))  # fmt: skip
    options = {"weight_decay": weight_decay, "eps": 1e-5, "betas": betas}
    optimizer = adamw(**options)([{"params": ours, "lr": 0.1}])
    reference = torch.optim.AdamW(theirs, lr=0.1, fused=True, **options)
    for _ in range(steps):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        optimizer.step()
        reference.step()
        assert not any(parameter.grad.requires_grad for parameter in ours)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
    loaded = torch.optim.AdamW(theirs, lr=0.2, fused=True, **options)
    loaded.load_state_dict(optimizer.state_dict())
    assert loaded.param_groups[0]["lr"] == 0.1
    for one, other in zip(ours, theirs, strict=True):
        for name, value in optimizer.state[one].items():
            assert torch.equal(value, loaded.state[other][name])


@pytest.mark.parametrize("name", ["ppo", "a3c", "dreamer"])
@pytest.mark.slow
def test_training_does_not_load_the_compiler(name: str, tmp_path: Path) -> None:
    """It would take as long as loading PyTorch: seconds before the first step of every run."""
    words = [sys.executable, "-c", SHORT_RUN, name, str(tmp_path / "run")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""
