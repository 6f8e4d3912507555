"""The result of ``mario-agents eval`` as a file, which leaderboards read.

Rates are not believed but counted: a reader looks at the episodes, and at nothing that was computed
from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from mario_agents.evaluation.results import EvalEpisode, EvalProtocol, Evaluation
from mario_agents.evaluation.standard_options import Standard
from mario_agents.run.decoding import decode_json
from mario_agents.run.records import PlayedColumns
from mario_envkit.command_line import showable
from mario_envkit.errors import ResultError

SCHEMA = 2
"""Version of the layout; the number grows when a reader of the old one would misread the new."""

Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
"""Without what would move the cursor of a terminal, since results come from anybody."""
Sha256 = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]


def as_text(text: str) -> str:
    """What users may call things, as a :data:`Text`."""
    return "".join(letter if letter.isprintable() else "?" for letter in showable(text))[:200]


class AgentRecord(Struct, frozen=True, kw_only=True):
    """Who played.

    Attributes:
        name: for people.
        kind: "run", "python", "sb3" or "baseline".
        trainer: of a run.
        weights: of a run, "best" or "latest".
        files: SHA-256 of what the agent is made of by name: weights, or source code.
    """

    name: Text
    kind: Text
    trainer: Text = ""
    weights: Text = ""
    files: dict[Text, Sha256] = {}


class GameRecord(Struct, frozen=True, kw_only=True):
    """What was played.

    Attributes:
        name: "smb" or "lost_levels".
        rom_sha256: of the cartridge image; "" where the game is another package's.
        core: the console and its timing, such as "native/console".
        native_sha256: of the compiled core, which differs between systems.
        code_sha256: of the Python code that decides results.
    """

    name: Text
    rom_sha256: Sha256
    core: Text
    native_sha256: Sha256
    code_sha256: Sha256


class TrainingRecord(Struct, frozen=True, kw_only=True):
    """How much the agent was trained; None where nobody says.

    Attributes:
        minutes: wall-clock time, on which machine the author says.
        agent_steps: of all its environments together.
        declared: whether the author says so, or the run itself recorded it.
    """

    minutes: Annotated[float, Meta(ge=0)] | None = None
    agent_steps: Annotated[int, Meta(ge=0)] | None = None
    declared: bool = False


class MadeRecord(Struct, frozen=True, kw_only=True):
    """How it was measured.

    Attributes:
        at: time, in UTC.
        seconds: wall-clock time of the evaluation.
        machine: in words.
        versions: of the packages that took part, and of Python.
        revision: commit of the checkout, "" of an installed package.
    """

    at: Text
    seconds: Annotated[float, Meta(ge=0)]
    machine: Text
    versions: dict[Text, Text]
    revision: Text = ""


class EpisodeColumns(PlayedColumns, frozen=True, kw_only=True):
    """Episodes, a list for each field of :class:`~mario_agents.evaluation.results.EvalEpisode`."""

    level: tuple[Text, ...]
    ending: tuple[Text, ...]
    trajectory: tuple[Text, ...]

    def __len__(self) -> int:
        return len(self.success)


class ConditionRecord(Struct, frozen=True):
    """An :class:`~mario_agents.evaluation.results.Evaluation`, without what follows from it."""

    protocol: EvalProtocol
    episodes: EpisodeColumns
    full_game: bool = False

    def evaluation(self) -> Evaluation:
        """As it was when it was written."""
        episodes = tuple(EvalEpisode(**row) for row in self.episodes.rows())
        return Evaluation(self.protocol, episodes, self.full_game)


class Result(Struct, frozen=True, kw_only=True):
    """What was measured, and under which circumstances.

    Attributes:
        schema: :data:`SCHEMA`.
        on: the package in which the game was played.
        track: of ``docs/pages/benchmark.md``, or "".
        env: keyword arguments of ``MarioTrain-v0`` under which the agent played, without those that
            the standard decides.
        records: what was played by level and condition: each level has the same conditions.
    """

    schema: int
    agent: AgentRecord
    on: Text
    track: Text = ""
    training: TrainingRecord = TrainingRecord()
    game: GameRecord
    made: MadeRecord
    env: dict[str, Any]
    standard: Standard
    records: Annotated[
        dict[Text, Annotated[dict[Text, ConditionRecord], Meta(min_length=1)]], Meta(min_length=1)
    ] = field(name="levels")

    def __post_init__(self) -> None:
        """Check what types cannot.

        Raises:
            ValueError: if levels differ in their conditions, or episodes are missing.
        """
        for level, conditions in self.records.items():
            if set(conditions) != set(self.conditions):
                raise ValueError(f"level {level} was not played under the same conditions")
            for name, played in conditions.items():
                if len(played.episodes) != self.standard.episodes:
                    raise ValueError(
                        f"level {level}, {name}, has {len(played.episodes)} episodes instead "
                        f"of {self.standard.episodes}"
                    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Those under which every level was played."""
        return tuple(next(iter(self.records.values())))

    def evaluations(self) -> dict[str, dict[str, Evaluation]]:
        """What was played, by level and condition."""
        return {
            level: {name: played.evaluation() for name, played in conditions.items()}
            for level, conditions in self.records.items()
        }


class _Head(Struct, frozen=True):
    schema: int | None = None


def read_result(path: Path) -> Result:
    """A result from its file.

    Raises:
        ResultError: if it cannot be read, is damaged, or has another layout.
    """
    try:
        raw = path.read_bytes()
        schema = decode_json(raw, _Head).schema
        if schema is None:
            raise ResultError(
                f"{path} is no result of mario-agents eval, or one of an older version, which did "
                "not say what was measured; measure again, with --out FILE."
            )
        if schema != SCHEMA:
            raise ResultError(
                f"{path} has layout {schema} of results, and this version of mario-envkit reads "
                f"layout {SCHEMA}; install the version that wrote it, or measure again."
            )
        return decode_json(raw, Result)
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise ResultError(
            f"{path} is damaged: {str(error).rstrip('.')}; measure again with mario-agents eval."
        ) from error
