"""From gradients to weights: groups, clipping, schedules, statistics, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from mario_agents.core.gradients import GradientComputer, trainable
from mario_agents.core.optimizers import OptimizerFactory, adamw, rmsprop
from mario_agents.core.types import Batch, Learner
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.nn.registry import NetworkName, build_encoder
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.ops.schedules import cosine_with_warmup
from mario_envkit.errors import TrainerError

CPU = torch.device("cpu")


class TwoHeads(nn.Module):
    """A body and two heads, of which a batch may use one only; and a frozen target."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 4)
        self.policy, self.value = nn.Linear(4, 2), nn.Linear(4, 1)
        self.target = nn.Linear(4, 1).requires_grad_(False)


class TwoHeadLearner(Learner):
    """Learns to say 1 with one head or with both."""

    model: TwoHeads

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.model = TwoHeads()
        self.followed = 0

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        hidden = self.model.body(batch["obs"])
        loss = (self.model.value(hidden) - 1).square().mean()
        if "policy" in batch:
            loss = loss + (self.model.policy(hidden) - 1).square().mean()
        return loss, {"loss": loss.detach()}

    def after_update(self) -> None:
        self.followed += 1


def a_group(parameters, lr=lambda packets: 0.1, norm: float = 1e9, **more) -> ParameterGroup:
    return ParameterGroup(parameters, lr=lr, clip=clip_by_global_norm(norm), **more)


def one_group(learner: Learner, optimizer: OptimizerFactory | None = None, **options) -> Updater:
    return Updater(learner, optimizer or adamw(), a_group(learner.model.parameters(), **options))


def ones(learner: Learner, value: float = 1.0) -> list[Tensor]:
    return [torch.full_like(parameter, value) for parameter in trainable(learner.model)]


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1), ("sqrt", 2), ("linear", 4)])
def test_the_learning_rate_grows_with_the_packets_of_an_update(scaling, factor):
    """Of this update: one that lacks a worker that is being replaced takes a smaller step."""
    learner = TwoHeadLearner()
    updater = one_group(learner, torch.optim.SGD, lr=lambda packets: 0.5**packets)
    updater.lr_scaling = scaling
    before = learner.model.body.bias.detach().clone()
    assert updater.apply(ones(learner), packets=4)["lr"] == factor
    assert torch.equal(learner.model.body.bias, before - factor)
    assert updater.apply(ones(learner), packets=1)["lr"] == 0.5**4


def test_gradients_that_are_not_finite_stop_training_and_change_nothing():
    learner = TwoHeadLearner()
    updater = one_group(learner)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    gradients = ones(learner)
    gradients[-1][0] = torch.nan
    with pytest.raises(TrainerError, match="not finite"):
        updater.apply(gradients)
    assert all(torch.equal(before[n], v) for n, v in learner.model.state_dict().items())
    assert learner.followed == updater.updates == 0
    updater.apply(ones(learner))
    assert learner.followed == updater.updates == 1


def test_gradients_are_clipped_and_the_rate_follows_its_schedule():
    learner = TwoHeadLearner()
    schedule = cosine_with_warmup(1e-3, 1e-4, warmup=3, total=100)
    updater = one_group(learner, lr=schedule, norm=0.5)
    count = sum(p.numel() for p in trainable(learner.model))
    rates = []
    for _ in range(4):
        metrics = updater.apply(ones(learner))
        assert metrics["grad_norm"] == pytest.approx(count**0.5, rel=1e-4)
        rates.append(metrics["lr"])
    assert rates == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3])
    # Adam's first moment after equal clipped gradients g: g * (1 - 0.9**4).
    moment = updater.tensors()["optimizer.0.exp_avg"].flatten()[0].item()
    assert moment == pytest.approx(0.5 / count**0.5 * (1 - 0.9**4), rel=1e-3)


def test_the_rate_depends_on_packets_not_on_updates():
    learner = TwoHeadLearner()
    updater = one_group(learner, lr=lambda packets: 1.0 + packets)
    assert [updater.apply(ones(learner), packets)["lr"] for packets in (3, 2, 1)] == [1.0, 4.0, 6.0]


def test_groups_have_rates_clipping_and_options_of_their_own():
    learner = TwoHeadLearner()
    model = learner.model
    updater = Updater(
        learner,
        lambda groups: torch.optim.SGD(groups, lr=1.0),
        a_group([*model.value.parameters()], lambda packets: 0.5, 1.0, name="value"),
        # In another order than the model's, and with a target, which is left out.
        a_group(
            [*model.policy.parameters(), *model.target.parameters(), *model.body.parameters()],
            lambda packets: 0.1 / (1 + packets),
            name="rest",
            options={"weight_decay": 0.25},
        ),
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    metrics = updater.apply(ones(learner))
    after = model.state_dict()
    # Five ones have a norm of sqrt(5), and are scaled down to 1.
    assert torch.allclose(after["value.bias"], before["value.bias"] - 0.5 / 5**0.5)
    for name in ("policy.weight", "body.bias"):
        assert torch.allclose(after[name], before[name] - 0.1 * (1 + 0.25 * before[name]))
    assert torch.equal(after["target.weight"], before["target.weight"])
    assert metrics["lr"] == metrics["lr_value"] == 0.5
    assert metrics["grad_norm_value"] == pytest.approx(5**0.5)
    assert metrics["grad_norm_rest"] == pytest.approx(26**0.5)
    assert metrics["grad_norm"] == pytest.approx(31**0.5)
    assert updater.apply(ones(learner))["lr_rest"] == 0.05


@pytest.mark.parametrize("kept", [("value",), ("value", "policy", "body", "value")])
def test_every_parameter_is_in_one_group(kept: tuple[str, ...]):
    learner = TwoHeadLearner()
    groups = [a_group(getattr(learner.model, name).parameters()) for name in kept]
    with pytest.raises(TrainerError, match="put each of them in one group"):
        Updater(learner, adamw(), *groups)


def test_a_parameter_without_a_part_in_the_loss_has_a_gradient_of_zeros():
    learner = TwoHeadLearner()
    computer = GradientComputer(learner, CPU)
    rng = torch.Generator().manual_seed(0)
    alone = {"obs": torch.randn(5, 3, generator=rng)}
    both = {"obs": torch.randn(5, 3, generator=rng), "policy": torch.ones(())}
    names = [name for name, p in learner.model.named_parameters() if p.requires_grad]

    def gradients(*batches: Batch) -> dict[str, Tensor]:
        for batch in batches:
            computer.add(batch)
        return dict(zip(names, computer.take(), strict=True))

    first, second, mean = gradients(alone), gradients(both), gradients(alone, both)
    assert torch.all(first["policy.weight"] == 0)
    assert torch.all(second["policy.weight"] != 0)
    for name in names:
        assert torch.allclose(mean[name], (first[name] + second[name]) / 2)
    updater = one_group(learner)
    before = learner.model.policy.weight.clone()
    updater.apply(list(first.values()))
    assert torch.equal(learner.model.policy.weight, before)


@pytest.mark.parametrize("optimizer", [adamw(weight_decay=0.1), rmsprop(), rmsprop(momentum=0.9)])
def test_a_restored_updater_goes_on_bit_for_bit(optimizer: OptimizerFactory):
    def make() -> tuple[TwoHeadLearner, Updater]:
        learner = TwoHeadLearner()
        heads = [*learner.model.policy.parameters(), *learner.model.value.parameters()]
        schedule = cosine_with_warmup(0.1, 0.01, warmup=3, total=20)
        body = a_group(learner.model.body.parameters(), schedule, 0.1, name="body")
        return learner, Updater(learner, optimizer, body, a_group(heads, name="heads"))

    batch = {"obs": torch.randn(8, 3, generator=torch.Generator().manual_seed(2)), "policy": 1}

    def update(learner: Learner, updater: Updater) -> dict[str, float]:
        loss, _ = learner.compute_loss(batch)
        return updater.apply(torch.autograd.grad(loss, trainable(learner.model)))

    learner, updater = make()
    for _ in range(5):
        update(learner, updater)
    tensors = {name: value.clone() for name, value in updater.tensors().items()}
    other_learner, other = make()
    other.restore(tensors, updater.state())
    for _ in range(5):
        assert update(learner, updater) == update(other_learner, other)
    ours, theirs = updater.tensors(), other.tensors()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_is_that_of_tensorflow(momentum: float):
    """Number by number, as its kernel ApplyRMSProp computes it."""
    learner, rng = TwoHeadLearner(), torch.Generator().manual_seed(4)
    updater = one_group(
        learner,
        rmsprop(decay=0.9, eps=0.01, momentum=momentum),
        lr=lambda packets: 0.1 / 2**packets,
    )
    parameters = trainable(learner.model)
    ours = [[float(number) for number in p.detach().flatten()] for p in parameters]
    square = [[1.0] * len(numbers) for numbers in ours]
    step = [[0.0] * len(numbers) for numbers in ours]
    for update in range(6):
        gradients = [torch.randn(p.shape, generator=rng) for p in parameters]
        for i, gradient in enumerate(gradients):
            for j, g in enumerate(map(float, gradient.flatten())):
                square[i][j] = 0.9 * square[i][j] + 0.1 * g**2
                step[i][j] *= momentum
                step[i][j] += 0.1 / 2**update * g / (square[i][j] + 0.01) ** 0.5
                ours[i][j] -= step[i][j]
        updater.apply(gradients)
    for numbers, parameter in zip(ours, parameters, strict=True):
        assert parameter.flatten().tolist() == pytest.approx(numbers, abs=1e-6)


class Pictures(Learner):
    """A network over pictures learns to say 1."""

    def __init__(self, network: NetworkName, *, channels_last: bool) -> None:
        torch.manual_seed(5)
        self.model = build_encoder(network, (2, 36, 36), 8, channels_last=channels_last)

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        return (self.model(batch["obs"]) - 1).square().mean(), {}


@pytest.mark.parametrize("network", ["small", "nature", "impala"])
def test_weights_move_against_their_own_gradients_in_every_layout_of_pictures(network: NetworkName):
    """A fused optimizer takes numbers in the order in which they are in memory."""
    obs = torch.randint(256, (4, 2, 36, 36), dtype=torch.uint8)
    for channels_last in (False, True):
        learner = Pictures(network, channels_last=channels_last)
        before = [each.detach().clone() for each in trainable(learner.model)]
        computer, updater = GradientComputer(learner, CPU), one_group(learner)
        computer.add({"obs": obs.numpy()})
        gradients = computer.take()
        kept = [each.clone() for each in gradients]
        updater.apply(gradients)
        # The first step of Adam is one of the learning rate, against the sign of the gradient.
        for old, new, gradient in zip(before, trainable(learner.model), kept, strict=True):
            large = gradient.abs() > 1e-3
            assert torch.equal((new - old)[large].sign(), -gradient[large].sign())
