"""What a result says besides its numbers, and which files are none."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium
import msgspec
import pytest

import mario_envkit
from mario_agents.evaluation import provenance
from mario_agents.evaluation.conditions import CONDITIONS
from mario_agents.evaluation.result_file import SCHEMA, read_result
from mario_agents.evaluation.spread import Spread
from mario_agents.evaluation.tracks import HELD_OUT, TRACKS
from mario_envkit.emulator.rom import find_rom
from mario_envkit.errors import OptionError, ResultError
from mario_envkit.game.levels import all_levels
from tests.agents.command_runs import assert_refused


def test_what_a_result_of_a_run_says(cli: Any, run: Path) -> None:
    start = time.perf_counter()
    done = cli("eval", run, "--episodes", 4, "--out", "result.json", "--name", "my toy")
    took = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    result = read_result(Path("result.json"))
    assert result.schema == SCHEMA
    weights = hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()
    assert msgspec.to_builtins(result.agent) == {
        "name": "my toy", "kind": "run", "trainer": "toy", "weights": "best",
        "files": {"weights.safetensors": weights},
    }  # fmt: skip
    assert (result.training.agent_steps, result.training.declared) == (30, False)
    assert result.conditions == CONDITIONS
    measured = result.evaluations()["1-1"]["greedy-plain"]
    assert measured.success_rate.mean == 1.0
    assert measured.protocol.noop_max == 30
    assert result.made.versions["python"].count(".") == 2
    assert {"mario-envkit", "torch", "gymnasium"} <= set(result.made.versions)
    assert 0 < result.made.seconds < took
    assert "torch" in result.made.machine
    assert result.game.rom_sha256 == ""  # the toy has no cartridge
    assert json.loads(Path("result.json").read_text())["over_levels"]["greedy-plain"] == {
        "mean": 1.0, "worst_tenth": 1.0, "worst": 1.0, "worst_level": "1-1"
    }  # fmt: skip


def test_what_a_result_of_the_game_says(cli: Any, tmp_path: Path) -> None:
    words = ("--episodes", 1, "--conditions", "greedy-plain", "--stall-limit", 5, "--seed", 7)
    words += ("--rom", find_rom().path, "--trained-minutes", 2.5, "--trained-steps", "1e3")
    done = cli("eval", "--agent", "run-right", *words, "--track", "held-out", "--out", "a.json")
    assert done.returncode == 0, done.stderr
    text = Path("a.json").read_text()
    assert str(find_rom().path) not in text  # where it lies is nobody's business
    result = read_result(Path("a.json"))
    assert (result.track, tuple(result.records)) == ("held-out", HELD_OUT)
    assert (result.game.name, result.game.rom_sha256) == ("smb", find_rom().sha256)
    assert result.game.core in ("native/console", "nes-py/nes-py")
    assert result.env == {
        "game": "smb", "observation": "tiles", "actions": "right+B,right+A+B", "stall_limit": 5
    }  # fmt: skip
    assert msgspec.to_builtins(result.training) == {
        "minutes": 2.5, "agent_steps": 1000, "declared": True
    }  # fmt: skip
    assert result.standard.seed == 7


def test_the_code_that_decides_is_told_apart(tmp_path: Path) -> None:
    before = provenance.code_sha256()
    assert before == provenance.code_sha256()
    root = Path(mario_envkit.__file__).parents[1]
    if (root / ".git").exists():
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        )
        assert provenance.git_revision().removesuffix("-dirty") == head.stdout.strip()


def test_code_counts_but_not_its_ends_of_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, agents = tmp_path / "kit", tmp_path / "agents"
    for package in (kit, agents / "acting", agents / "evaluation", agents / "report"):
        package.mkdir(parents=True)
        (package / "code.py").write_bytes(b"a = 1\n")
    monkeypatch.setattr(mario_envkit, "__file__", str(kit / "__init__.py"))
    monkeypatch.setattr(provenance.mario_agents, "__file__", str(agents / "__init__.py"))
    before = provenance.code_sha256()
    (agents / "report" / "code.py").write_bytes(b"a = 2\n")  # decides nothing
    (kit / "code.py").write_bytes(b"a = 1\r\n")
    assert provenance.code_sha256() == before
    (agents / "acting" / "code.py").write_bytes(b"a = 2\n")
    assert provenance.code_sha256() != before
    assert provenance.git_revision() == ""  # an installed package, whatever is around it


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "older": (lambda r: r.pop("schema"), "is no result of mario-agents eval, or one of an older"),
    "newer": (lambda r: r.update(schema=9), "has layout 9 of results"),
    "digest": (lambda r: r["game"].update(rom_sha256="x"), "is damaged"),
    "terminal": (lambda r: r["agent"].update(name="\x1b[2J"), "is damaged"),
    "newline": (lambda r: r["agent"].update(name="a\n"), "is damaged"),
    "levels": (lambda r: r.update(levels={}), "is damaged"),
    "conditions": (
        lambda r: r["levels"].update({"1-2": {"greedy-plain": r["levels"]["1-1"]["greedy-plain"]}}),
        "level 1-2 was not played under the same conditions",
    ),
    "episodes": (
        lambda r: [
            each.pop() for each in r["levels"]["1-1"]["greedy-plain"]["episodes"].values()
        ],
        "level 1-1, greedy-plain, has 1 episodes instead of 2",
    ),
    "columns": (
        lambda r: r["levels"]["1-1"]["greedy-plain"]["episodes"]["steps"].pop(),
        "is damaged: the fields of episodes are of different length",
    ),
    "words": (
        lambda r: r["levels"]["1-1"]["greedy-plain"]["episodes"].update(success=["yes", True]),
        "is damaged: Expected `bool`, got `str`",
    ),
}  # fmt: skip


@pytest.fixture
def result(cli: Any, run: Path) -> Path:
    """A small result of the toy."""
    conditions = ("--conditions", "greedy-plain", "sampled-plain")
    done = cli("eval", run, "--episodes", 2, *conditions, "--out", "result.json")
    assert done.returncode == 0, done.stderr
    return Path("result.json").absolute()


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_are_no_results(result: Path, change: str) -> None:
    values = json.loads(result.read_text())
    alter, sentence = CHANGES[change]
    alter(values)
    result.write_text(json.dumps(values))
    with pytest.raises(ResultError, match=sentence):
        read_result(result)


def test_rates_are_counted_and_not_believed(result: Path) -> None:
    values = json.loads(result.read_text())
    measured = values["levels"]["1-1"]["greedy-plain"]
    measured["success_rate"]["mean"] = 0.25
    measured["episodes"]["success"][0] = False
    result.write_text(json.dumps(values))
    assert read_result(result).evaluations()["1-1"]["greedy-plain"].success_rate.mean == 0.5


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="cannot be read: No such file"):
        read_result(tmp_path / "none.json")
    rubbish = tmp_path / "a.json"
    for content in (b"{", b"\xff\xfe", b"[" * 100_000, b"3"):
        rubbish.write_bytes(content)
        with pytest.raises(ResultError, match=r"a\.json is damaged"):
            read_result(rubbish)


def test_names_that_are_no_text(cli: Any, run: Path) -> None:
    words = ("--episodes", 1, "--conditions", "greedy-plain", "--out", "a.json")
    done = cli("eval", run, *words, "--name", "a\x1b[2J\udcff" + "b" * 300)
    assert done.returncode == 0, done.stderr
    name = read_result(Path("a.json")).agent.name
    assert name.startswith("a?[2J?bbb")
    assert len(name) == 200


def test_an_agent_of_the_zoo(cli: Any) -> None:
    words = ("--episodes", 1, "--conditions", "greedy-plain", "--out", "a.json")
    done = cli("eval", "zoo:1-1", *words, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    agent = read_result(Path("a.json")).agent
    assert (agent.name, agent.kind) == ("zoo:1-1", "run")
    assert len(agent.files) == 1


# -- levels ------------------------------------------------------------------------------------


def test_spread() -> None:
    rates = {f"{world}-{stage}": 1.0 for world, stage in product(range(1, 6), range(1, 5))}
    rates |= {"3-1": 0.0, "4-4": 0.5, "5-1": 0.4}
    spread = Spread.of(rates)
    assert spread == Spread(
        mean=pytest.approx(17.9 / 20), worst_tenth=pytest.approx(0.2), worst=0.0, worst_level="3-1"
    )
    assert Spread.of({"1-1": 0.7, "1-2": 0.9}).worst_tenth == 0.7  # at least one level
    assert Spread.of({"a": 0.5, "b": 0.5}).worst_level == "a"
    with pytest.raises(ValueError, match="no level"):
        Spread.of({})


def test_the_held_out_stages_follow_their_rule() -> None:
    env = gymnasium.make("Mario-v0")
    areas = {
        str(level): env.reset(seed=0, options={"level": str(level)})[1]["area"]
        for level in all_levels()
    }
    env.close()
    alone = {level for level, area in areas.items() if [*areas.values()].count(area) == 1}
    assert len(alone) == 22
    each = [[f"{world}-{stage}" for stage in range(1, 5)] for world in range(1, 9)]
    lists = (
        levels
        for levels in product(*each)  # in the order of the game
        if alone.issuperset(levels) and sorted(level[-1] for level in levels) == [*"11223344"]
    )
    assert next(lists) == HELD_OUT


def test_levels_of_tracks() -> None:
    assert [len(track.levels) for track in TRACKS.values()] == [1, 32, 32, 8, 16]
    assert TRACKS["held-out"].levels_to_play([]) == list(HELD_OUT)
    assert TRACKS["32-stages"].levels_to_play(["4-2"]) == ["4-2"]
    with pytest.raises(OptionError, match="say with --levels which"):
        TRACKS["32-stages"].levels_to_play([])
    with pytest.raises(OptionError, match="and not full"):
        TRACKS["32-stages"].levels_to_play(["1-1", "full"])
    with pytest.raises(OptionError, match="leave out --levels"):
        TRACKS["held-out"].levels_to_play(["1-1"])


def test_a_track_of_another_cartridge(cli: Any) -> None:
    words = ("--episodes", 1, "--conditions", "greedy-plain", "--stall-limit", 5)
    done = cli("eval", "--agent", "run-right", *words, "--track", "lost-levels", "--out", "a.json")
    assert done.returncode == 0, done.stderr
    result = read_result(Path("a.json"))
    assert (result.game.name, len(result.records)) == ("lost_levels", 16)
    assert result.game.rom_sha256 == find_rom("lost_levels").sha256


def test_a_folder_that_is_not_there_is_said_before_measuring(cli: Any, run: Path) -> None:
    refused = cli("eval", run, "--episodes", 100_000, "--out", "no/where.json")
    assert_refused(refused, "there is no folder no")
