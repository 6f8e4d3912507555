"""Tensors as vectors, and bfloat16: against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mario_agents.runtime.flatten import TensorLayout
from mario_agents.runtime.shm.bfloat16 import BLOCK, widen
from mario_envkit.errors import TrainerError

DTYPES = (
    torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.uint8,
    torch.bool, torch.complex128,
)  # fmt: skip


def random_tensor(dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    if dtype is torch.bool:
        return torch.rand(shape) < 0.5
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape, dtype=dtype)
    return torch.randint(0, torch.iinfo(dtype).max, shape, dtype=dtype)


specs = st.lists(
    st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3).map(tuple)),
    min_size=1,
    max_size=8,
)


@given(specs=specs)
def test_any_tensors_come_back_bit_for_bit(specs):
    tensors = [torch.ones(1), *(random_tensor(*spec) for spec in specs)]
    layout = TensorLayout((str(number), tensor) for number, tensor in enumerate(tensors))
    vector = layout.pack(tensors)
    assert vector.shape == (layout.size,)
    assert vector.dtype == np.float32
    # As it goes through shared memory.
    vector = np.frombuffer(bytearray(vector.tobytes()), dtype=np.float32)
    found = [torch.zeros_like(tensor) for tensor in tensors]
    layout.unpack(vector, found)
    for tensor, back, view in zip(tensors, found, layout.views(vector), strict=True):
        assert torch.equal(back, tensor)
        assert torch.equal(view.to(tensor.dtype), tensor)


def test_a_model_in_a_vector_and_back_in_place():
    def make():
        return torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))

    model, other = make(), make()
    model(torch.randn(4, 2, 5, 5))
    layout = TensorLayout(model.state_dict().items())
    vector = np.full(layout.size, np.nan, dtype=np.float32)
    assert layout.pack(list(model.state_dict().values()), out=vector) is vector
    weight = other[0].weight
    layout.unpack(vector, list(other.state_dict().values()))
    assert other[0].weight is weight
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_views_are_the_vector():
    layout = TensorLayout([("a", torch.zeros(2, 2)), ("b", torch.zeros(3))], numeric=True)
    assert layout.size == 32  # each at 64 bytes
    vector = np.arange(32, dtype=np.float32)
    a, b = layout.views(vector)
    vector[3], vector[16] = 30, 40
    assert a.tolist() == [[0, 1], [2, 30]]
    assert b.tolist() == [40, 17, 18]


def test_what_does_not_fit_is_refused():
    layout = TensorLayout([("a", torch.zeros(2, 2)), ("b", torch.zeros(3))])
    vector = np.zeros(32, dtype=np.float32)
    for wrong in (
        [torch.zeros(2, 2)],
        [torch.zeros(3), torch.zeros(2, 2)],
        [torch.zeros(2, 2), torch.zeros(3, dtype=torch.float16)],
    ):
        with pytest.raises(TrainerError, match="layout of 2"):
            layout.pack(wrong)
        with pytest.raises(TrainerError, match="layout of 2"):
            layout.unpack(vector, wrong)
    for shape in ((31,), (33,), (32, 1)):
        with pytest.raises(TrainerError, match=r"shape \(32,\)"):
            layout.unpack(np.zeros(shape, dtype=np.float32), layout.views(vector))
    with pytest.raises(TrainerError, match=r"\(32,\)"):
        layout.pack(layout.views(vector), out=np.zeros(32))
    with pytest.raises(TrainerError, match="no numbers"):
        TensorLayout([])
    with pytest.raises(TrainerError, match=r"'w' is torch\.float64"):
        TensorLayout([("w", torch.zeros(1, dtype=torch.float64))], numeric=True)


def assert_rounded_as_torch_does(values: np.ndarray) -> None:
    """Packed into packets of bfloat16."""
    found = np.zeros(-(-values.size // 16) * 16, dtype=np.uint16)
    tensor = torch.from_numpy(values)
    TensorLayout([("w", tensor)], numeric=True).pack([tensor], out=found)
    theirs = tensor.to(torch.bfloat16).float().numpy()
    wide = np.empty(found.shape, dtype=np.float32)
    widen(found, wide)
    np.testing.assert_array_equal(wide[: values.size], theirs)  # NaN is equal to NaN


bits = arrays(np.uint32, st.integers(1, 200), elements=st.integers(0, 2**32 - 1))


@given(bits=bits)
def test_packets_of_bfloat16_are_rounded_to_the_nearest(bits):
    """On any bit pattern: ties, subnormals, infinities and NaNs included."""
    assert_rounded_as_torch_does(bits.view(np.float32))


def test_every_bfloat16_and_its_neighbours():
    """All 65536 values, the ties above them and one bit to either side; widening is exact."""
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    for lower in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):
        values = (upper | np.uint32(lower)).view(np.float32)
        assert values.size > BLOCK
        assert_rounded_as_torch_does(values)
    wide = np.empty(1 << 16, dtype=np.float32)
    every = (upper >> 16).astype(np.uint16)
    widen(every, wide)
    np.testing.assert_array_equal(wide.view(np.uint32), upper)
