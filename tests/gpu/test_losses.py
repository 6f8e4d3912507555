"""A device that rounds otherwise is no error, and an error is found beside its rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mario_agents.config import make_config
from mario_envkit.plugins import load_trainer
from tests.gpu.checks import losses
from tests.gpu.checks.losses import CPU, Compared
from tests.gpu.learning_parts import Updates
from tests.gpu.options import EXACT, SMALL_SCREEN, cases, small_options

CASE = "pixels/impala"
"""Behind its first convolution, which has no bias yet, black regions of a picture are 0: the corner
of a ReLU. Convolutions of a GPU (Winograd's, say) are 0 there but for their rounding."""
ROUNDING = 1e-7


class OnRoundingDevice(Compared):
    """Compares with a device whose convolutions are not exact."""

    def _updates(self, config: Any, device: torch.device) -> Updates:
        updates = super()._updates(config, device)
        if config is self.config:  # that of the CPU
            return updates
        rng = torch.Generator().manual_seed(1)

        def rounded(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            size = ROUNDING * output.detach().abs().max()
            return output + size * torch.randn(output.shape, generator=rng)

        for module in updates.learner.model.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(rounded)
        return updates


@pytest.fixture(scope="module")
def compared() -> Compared:
    plugin = load_trainer("a3c")
    options = small_options("a3c", plugin.config_class, "pixels") | cases(plugin.config_class)[CASE]
    config = make_config(plugin.config_class, options | SMALL_SCREEN, source=CASE)
    return OnRoundingDevice(plugin.algorithm, config, CPU)


@pytest.fixture(autouse=True)
def _fewer_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "NEARBY", 1)


@pytest.mark.slow
def test_rounding_is_no_error_where_it_decides_about_gradients(compared: Compared):
    figures, problem = compared.with_variant(EXACT)
    assert not problem
    assert figures["as computed"] > EXACT.gradients > figures["gradients"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"gamma": 0.91},
        {"value_coef": 0.0},
        {"value_coef": 0.505},
        {"normalize_advantage": "none"},
    ],
    ids=str,
)
def test_another_loss_is_found_beside_rounding(compared: Compared, options: dict[str, Any]):
    figures, problem = compared.with_variant(EXACT._replace(options=options))
    assert "loss by" in problem
    assert "gradients by" in problem
    assert figures["gradients"] > EXACT.gradients
