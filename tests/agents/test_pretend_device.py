"""Every trainer on a device that is not there: what a GPU would refuse is refused here as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mario_envkit.plugins import available_trainers, load_trainer
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
TRAINERS = sorted(
    entry.name for entry in available_trainers() if entry.target.startswith("mario_agents.")
)

MISTAKES = {
    "a sum": ("x + torch.ones(3)", "same device"),
    "an array": ("x.numpy()", "numpy"),
    "a choice": ("torch.where(torch.ones(3) > 0, x, x)", "same device"),
    "an index": ("torch.ones(3)[x.long()]", "same device"),
    "random numbers": ("torch.rand(3, device=x.device, generator=torch.Generator())", "generator"),
    "weights": ("torch.nn.Linear(3, 2)(x)", "same device"),
    "a batch": ("torch.nn.Linear(3, 2).to(x.device)(torch.ones(1, 3))", "same device"),
    "a list": ("torch.cat([x, torch.ones(3)])", "same device"),
    "moments": (
        "torch._fused_adamw_([x], [x + 1], [x * 0], [x * 0], [], [torch.zeros(())], lr=0.1, "
        "beta1=0.9, beta2=0.9, weight_decay=0.0, eps=0.1, amsgrad=False, maximize=False)",
        "same device",
    ),
}
FINE = """
assert str(x.device) == 'cuda:0' and x.shape == (3,)
assert (x * torch.tensor(2.0)).cpu().tolist() == [2, 2, 2] and x.sum().item() == 3
assert x[torch.tensor([0, 1])].device == x.device
y = torch.zeros(3); y.copy_(x); assert y.tolist() == [1, 1, 1] and y.device.type == 'cpu'
layer = torch.nn.Linear(3, 2).to(x.device)
optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
layer(x[None]).sum().backward()
optimizer.step()
state = optimizer.state_dict()['state'][0]
assert {str(each.device) for each in state.values()} == {'cuda:0'}
"""


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    # A process of its own: the device is there for good.
    path = os.pathsep.join([str(ROOT / "tests/agents/pretend_site"), str(ROOT)])
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.slow
def test_mistakes_are_errors_as_on_a_gpu():
    code = f"""
import torch
x = torch.ones(3).to('cuda:0')
{FINE}
for name, (mistake, said) in {MISTAKES!r}.items():
    try:
        eval(mistake)
    except (RuntimeError, TypeError) as error:
        assert said in str(error), (name, str(error))
    else:
        raise SystemExit(f'{{name}} was not refused')
"""
    result = _python("-c", code)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("observation", ["tiles", "pixels"])
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_run_learns_what_it_learns_on_the_cpu(trainer: str, observation: str):
    """Training, evaluation, checkpoints, going on, playing; also with actors on the CPU."""
    result = _python("-m", "tests.agents.pretend_run", trainer, observation)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("trainer", TRAINERS)
def test_worker_processes(trainer: str):
    """Whatever worker processes may share comes from the device and goes back to it."""
    ways = getattr(load_trainer(trainer).algorithm, "shares", (None,))
    for share in ways:
        words = ["--workers", "2", *(["--share", share] if share else [])]
        result = _python("-m", "tests.agents.pretend_run", trainer, "tiles", *words)
        assert result.returncode == 0, result.stdout + result.stderr
