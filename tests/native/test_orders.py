"""Numbers that the native core and Python have both written down mean the same."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mario_envkit.emulator import native
from mario_envkit.game.endings import DEATH_CAUSES, ENDINGS
from mario_envkit.vector import infos, reward

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")


def core(kind: str) -> dict[str, int]:
    from mario_envkit import _native

    return _native.ORDERS[kind]


def numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def test_rows_of_a_pool() -> None:
    texts = {
        "status": infos.STATUS_ROW,
        "death_cause": infos.CAUSE_ROW,
        "ending": infos.ENDING_ROW,
        "trouble": infos.TROUBLE_ROW,
    }
    assert core("ints") == {**numbered(infos.INT_KEYS), **texts, "": infos.INT_ROWS}
    assert core("flags") == {
        "terminated": infos.TERMINATED_ROW,
        "truncated": infos.TRUNCATED_ROW,
        "flag_get": infos.FLAG_GET_ROW,
        "died": infos.DIED_ROW,
        "": infos.FLAG_ROWS,
    }


def test_endings_and_causes_of_death() -> None:
    assert core("endings") == numbered(ENDINGS)
    assert core("death_causes") == numbered(DEATH_CAUSES)


def test_terms_of_rewards() -> None:
    names = [kind.__name__ for kind in reward._KINDS]
    assert core("terms") == {**numbered(names), "": len(names)}
