"""What a run leaves behind about its evaluations and videos, for people and reports to read.

``evaluations.jsonl`` has a line for each evaluation; beside every video, ``videos/NAME.mp4``, lies
``videos/NAME.json``. Both are msgspec structs: what does not fit them is damaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, structs

from mario_agents.run.decoding import decode_json
from mario_envkit.files import replace_file
from mario_envkit.game.endings import WARP

Step = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]


class PlayedEpisode(Struct, frozen=True):
    """An episode of an evaluation; fields as of
    :class:`mario_agents.evaluation.results.EvalEpisode`."""

    level: str
    success: bool
    reward: float
    best_x: int
    steps: Step
    ending: str
    stages_cleared: Step = 0
    """0 in runs of older versions."""

    @property
    def merit(self) -> tuple[bool, int, int]:
        """What makes one episode better than another: its goal, stages cleared, farthest x."""
        return self.success, self.stages_cleared, self.best_x

    @property
    def clears_stage(self) -> bool:
        """Whether the flag of a stage was reached, in the full game of any."""
        return self.success or (self.stages_cleared > 0 and self.ending != WARP)

    @property
    def outcome(self) -> str:
        """How it ended, for people."""
        if self.success:
            return "reaches the flag"
        after = f" after {self.stages_cleared} cleared stages" if self.stages_cleared else ""
        return f"ends ({self.ending}){after}"

    @classmethod
    def of(cls, episode: Any) -> PlayedEpisode:
        """From the dataclass."""
        values = asdict(episode)
        return cls(**{name: values[name] for name in cls.__struct_fields__})


class EvaluationRecord(Struct, frozen=True):
    """An evaluation at agent step ``step``: episodes on a console that obeys, and as many on one
    that sometimes repeats the action before (``sticky``).

    Attributes:
        step: agent steps of the run when the weights were taken that played.
        seconds: wall-clock seconds of training at that moment, see
            :class:`~mario_agents.run.clock.TrainingClock`.
        known: the same when the last episode had ended: training goes on meanwhile.
        time: Unix seconds then. These three are None in runs of older versions.
        confirmed: plain, sticky and sampled episodes of a second stage, with other seeds, if there
            was one; in runs of older versions no sampled ones.
    """

    step: Step
    plain: tuple[PlayedEpisode, ...]
    sticky: tuple[PlayedEpisode, ...] = ()
    seconds: Seconds | None = None
    known: Seconds | None = None
    time: Seconds | None = None
    confirmed: tuple[tuple[PlayedEpisode, ...], ...] = ()

    @property
    def judged(self) -> dict[str, tuple[PlayedEpisode, ...]]:
        """The episodes that say how good the weights are: "plain", "sticky", perhaps "sampled"."""
        names = ("plain", "sticky", "sampled")
        return dict(zip(names, self.confirmed or (self.plain, self.sticky), strict=False))


class PlayedColumns(Struct, frozen=True, kw_only=True):
    """Episodes, a list for each field of :class:`PlayedEpisode`, as a table has columns."""

    level: tuple[str, ...]
    success: tuple[bool, ...]
    reward: tuple[float, ...]
    best_x: tuple[int, ...]
    steps: tuple[Step, ...]
    ending: tuple[str, ...]
    stages_cleared: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Check that they are of the same episodes.

        Raises:
            ValueError: if some have less than others.
        """
        if len(set(map(len, structs.astuple(self)))) != 1:
            raise ValueError("the fields of episodes are of different length")

    def rows(self) -> list[dict[str, Any]]:
        """The fields of each episode, by name."""
        columns = structs.asdict(self)
        values = zip(*columns.values(), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in values]


class _Measured(Struct, frozen=True):
    episodes: PlayedColumns


class _Standard(Struct, frozen=True):
    levels: dict[str, dict[str, _Measured]]


class Segment(Struct, frozen=True):
    """A stretch of an episode within one area of a level.

    Attributes:
        level, area: where; as in the environment's info.
        points: ``(x_pos, y_pos)`` after every agent step, in pixels, y from the bottom.
    """

    level: str
    area: int
    points: tuple[tuple[int, int], ...]


class VideoRecord(Struct, frozen=True):
    """What a video shows.

    Attributes:
        step: agent steps that the agent had learned from.
        occasions: why it was made, such as "first flag" and "new best".
        score: of the evaluation, see :class:`~mario_agents.run.best.BestWeights`.
        episode: the one that was recorded.
        path: where Mario was, as segments.
        ahead: in a film of what a world model expects, how many observations it imagined for each
            that it looked at, that one included; 0 in a video of the game.
    """

    step: Step
    occasions: tuple[str, ...]
    score: tuple[float, ...]
    episode: PlayedEpisode
    path: tuple[Segment, ...]
    ahead: Step = 0

    @property
    def kind(self) -> Literal["video", "dream"]:
        """What dashboards show it as."""
        return "dream" if self.ahead else "video"


def evaluation_line(record: EvaluationRecord) -> bytes:
    """A line of ``evaluations.jsonl``."""
    return msgspec.json.encode(record) + b"\n"


def last_evaluated(path: Path) -> int:
    """Agent step of the weights in the last line of ``evaluations.jsonl``, 0 without one."""
    try:
        records, _ = read_evaluations(path)
    except OSError:
        return 0
    return records[-1].step if records else 0


def cut_evaluations(path: Path, step: int) -> None:
    """Remove the lines of ``evaluations.jsonl`` that are about weights after agent step ``step``,
    and those that are damaged.

    Raises:
        OSError: if it cannot be read or written.
    """
    records, damaged = read_evaluations(path)
    kept = [record for record in records if record.step <= step]
    lines = len(path.read_bytes().splitlines())
    if damaged or len(kept) < lines:
        raw = b"".join(map(evaluation_line, kept))
        replace_file(path, lambda temporary: temporary.write_bytes(raw))


def read_evaluations(path: Path) -> tuple[list[EvaluationRecord], int]:
    """The evaluations of a file by step, and how many of its lines are damaged.

    Of several at one step, which runs of older versions may have, the last one counts.

    Raises:
        OSError: if it cannot be read.
    """
    found: dict[int, EvaluationRecord] = {}
    damaged = 0
    for line in path.read_bytes().splitlines():
        try:
            record = decode_json(line, EvaluationRecord)
        except msgspec.DecodeError:
            damaged += 1
        else:
            found[record.step] = record
    return [found[step] for step in sorted(found)], damaged


def read_standard(path: Path) -> dict[str, dict[str, tuple[PlayedEpisode, ...]]]:
    """Episodes that ``mario-agents eval`` played, by level and condition.

    Raises:
        OSError: if the file cannot be read.
        msgspec.DecodeError: if it is damaged.
    """
    standard = decode_json(path.read_bytes(), _Standard)
    return {
        level: {
            name: tuple(PlayedEpisode(**row) for row in measured.episodes.rows())
            for name, measured in conditions.items()
        }
        for level, conditions in standard.levels.items()
    }


def write_video_record(video: Path, record: VideoRecord) -> None:
    """Write what ``video`` shows beside it.

    Raises:
        OSError: if the disk refuses.
    """
    raw = msgspec.json.encode(record)
    replace_file(video.with_suffix(".json"), lambda path: path.write_bytes(raw))


def read_videos(directory: Path) -> tuple[list[tuple[Path, VideoRecord]], list[Path]]:
    """Videos with what they show, by step; and the records that are damaged."""
    videos: list[tuple[Path, VideoRecord]] = []
    damaged: list[Path] = []
    for path in _records(directory):
        try:
            record = decode_json(path.read_bytes(), VideoRecord)
        except (OSError, msgspec.DecodeError):
            damaged.append(path)
        else:
            video = path.with_suffix(".mp4")
            if video.is_file():
                videos.append((video, record))
    return sorted(videos, key=lambda video: (video[1].step, video[0].name)), damaged


def _records(directory: Path) -> Iterable[Path]:
    return sorted(directory.glob("*.json")) if directory.is_dir() else ()
