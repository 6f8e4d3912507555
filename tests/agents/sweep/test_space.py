"""What is searched, from words and back."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import msgspec
import optuna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from mario_agents.config import NonNegativeFloat, PositiveFloat, PositiveInt, TrainConfig
from mario_agents.sweep.space import Choices, Range, Space, parse_space, rounded
from mario_envkit.errors import MarioEnvkitError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    """Options of every kind."""

    lr: PositiveFloat = 1e-3
    lr_min: NonNegativeFloat | None = None
    balance: float = 0.0
    layers: PositiveInt = 2
    network: Literal["small", "nature", "none"] = "small"
    fast: bool = True
    title: str = ""


def one(word: str) -> Any:
    return parse_space([word], Config).options[0]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("lr=1e-5..1e-3:log", Range("lr", 1e-5, 1e-3, log=True)),
        ("lr=1..2", Range("lr", 1.0, 2.0)),
        ("balance=-1..1:step=0.5", Range("balance", -1.0, 1.0, step=0.5)),
        ("balance=0..1:step=0.3", Range("balance", 0.0, 0.9, step=0.3)),
        ("layers=1..4", Range("layers", 1, 4, whole=True)),
        ("layers=1e0..1e3:log", Range("layers", 1, 1000, log=True, whole=True)),
        ("num-envs=16..70:step=16", Range("num_envs", 16, 64, step=16, whole=True)),
        ("network=small,none", Choices("network", ("small", "none"))),
        ("fast=on,false", Choices("fast", (True, False))),
        ("lr_min=None,1e-4,0", Choices("lr_min", (None, 1e-4, 0.0))),
        ("layers=1,1e2", Choices("layers", (1, 100))),
        ("screen_size=84,[52, 64]", Choices("screen_size", (84, [52, 64]))),
        ("level=1-1..1-4,2-1", Choices("level", ("1-1..1-4", "2-1"))),
        ('title="a, b","true"', Choices("title", ("a, b", "true"))),
    ],
)
def test_words(word: str, expected: Any) -> None:
    assert one(word) == expected
    again = parse_space([one(word).word], Config)
    assert again.options == (expected,)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ([], "at least one option"),
        (["lr"], "--search takes words such as"),
        (["=1..2"], "--search takes words such as"),
        (["lrr=1..2"], "no option 'lrr'; did you mean 'lr'"),
        (["lrr=1..2:step=x"], "did you mean 'lr'"),
        (["lr=1..2", "lr=3..4"], "lr twice"),
        (["lr=2..1"], "from 2.0 to 1.0 is empty; swap its ends"),
        (["lr=1..1"], "is empty; give --set lr=1.0"),
        (["lr=0..1:log"], "lr = 0 is not valid: expected float > 0"),
        (["lr_min=0..1:log"], "a range with :log must begin above 0, not at 0.0"),
        (["lr=1..2:log:step=0.1"], ":log and :step do not go together"),
        (["lr=1..2:step=3"], "longer than the range"),
        (["lr=1..2:step=0"], "K above 0, not in :step=0"),
        (["lr=1..2:lag"], "not in :lag"),
        (["lr=1..two"], "a number at both ends"),
        (["lr=1e999..2"], "a number at both ends"),
        (["lr=0.5"], "one value is nothing to search"),
        (["lr=0.5,0.5"], "is there twice"),
        (["layers=1.5..3"], "layers = 1.5 is not valid: expected int"),
        (["layers=1..9:step=0.5"], "whole numbers, and so must :step"),
        (["layers=0..3"], "layers = 0 is not valid: expected int >= 1"),
        (["network=small,nature,big"], "network = 'big' is not valid"),
        (["network=1..2"], "network = 1 is not valid"),
        (["title=1..2"], "title = 1 is not valid: expected str"),
        (["fast=0..1"], "fast = 0 is not valid: expected bool"),
        (["seed=1..4"], "own options --seed"),
        (["total_steps=1000,2000"], "own options --seed, --minutes and --steps"),
        (["lr=[1"], "is no value of an option"),
    ],
)
def test_words_that_make_no_sense(words: list[str], match: str) -> None:
    with pytest.raises(MarioEnvkitError) as error:
        parse_space(words, Config)
    assert match in str(error.value)
    assert "\n" not in str(error.value)


def test_distributions() -> None:
    words = [
        "lr=1e-5..1e-3:log",
        "layers=2..8:step=2",
        "screen_size=84,[52, 64]",
        "fast=true,false",
    ]
    space = parse_space(words, Config)
    assert space.distributions() == {
        "lr": FloatDistribution(1e-5, 1e-3, log=True),
        "layers": IntDistribution(2, 8, step=2),
        "screen_size": CategoricalDistribution([84, "[52, 64]"]),
        "fast": CategoricalDistribution([True, False]),
    }
    values = {"lr": 1e-4, "layers": 4, "screen_size": [52, 64], "fast": False}
    parameters = space.parameters({**values, "gamma": 0.9})
    assert parameters == {**values, "screen_size": "[52, 64]"}
    assert space.values(parameters) == values
    for name, value in (("lr", 1.0), ("layers", 5), ("screen_size", 64), ("fast", None)):
        with pytest.raises(ValueError, match="is"):
            space.parameters({**values, name: value})


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    whole, log, stepped = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    if stepped:  # in thousandths, of which decimals have no rest
        low, step, steps = (draw(st.integers(1, 10**4)) for _ in range(3))
        scale: Any = int if whole else (lambda value: value / 1000)
        name = "layers" if whole else "lr"
        return Range(name, scale(low), scale(low + steps * step), False, scale(step), whole)
    kind: Any = st.integers(1, 10**6) if whole else st.floats(1e-6, 1e6)
    low, high = sorted([draw(kind), draw(kind)])
    assume(low < high)
    return Range("layers" if whole else "lr", low, high, log, None, whole)


@given(ranges())
def test_a_range_survives_its_word_and_a_file(option: Range) -> None:
    assert one(option.word) == option
    space = Space((option,))
    assert msgspec.json.decode(msgspec.json.encode(space), type=Space) == space
    assert msgspec.json.decode(msgspec.json.encode(space), type=Space).words == space.words


texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12)


@given(st.lists(texts, min_size=2, max_size=5, unique=True))
def test_choices_of_any_text_survive_their_word(values: list[str]) -> None:
    option = Choices("title", tuple(values))
    assume("None" not in values)  # is None
    assert one(option.word) == option


@given(ranges(), st.integers(0, 10))
def test_what_optuna_draws_is_in_the_range(option: Range, seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = Space((option,))
    values = space.values(study.ask(space.distributions()).params)
    (value,) = values.values()
    assert option.low <= value <= option.high
    assert type(value) is (int if option.whole else float)


def test_rounded() -> None:
    assert [rounded(v) for v in (1.23456e-4, 3, None, True, "mlp", [52, 64])] == [
        "0.000123", "3", "None", "true", "mlp", "[52, 64]",
    ]  # fmt: skip
