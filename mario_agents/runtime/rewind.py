"""Cuts the files of a run back to an earlier step."""

from __future__ import annotations

from mario_agents.run.directory import RunDir
from mario_agents.run.records import cut_evaluations
from mario_agents.telemetry.sinks.csv_file import cut_rows
from mario_envkit.command_line import in_words
from mario_envkit.errors import RunError


def rewind(run: RunDir, step: int) -> None:
    """Cut all files that only grow behind agent step ``step``, from whose checkpoint a run goes on:
    what came later happens again.

    These are the CSV files, also of workers that the resumed run does not have, and
    ``evaluations.jsonl``, with what a crash left of a half-written line. The log has a line that
    says where the run went on, and TensorBoard hides later events by itself. Deaths, snapshots,
    videos and the best weights stay: they are true whatever came of them.

    Raises:
        RunError: if the disk refuses.
    """
    try:
        for path in (*sorted(run.path.glob("worker_*.csv")), run.csv_path("coordinator")):
            if path.is_file():
                cut_rows(path, step)
        if run.evaluations_path.is_file():
            cut_evaluations(run.evaluations_path, step)
    except OSError as error:
        raise RunError(
            f"The run {run.path} cannot go on from step {step}. {in_words(error)}"
        ) from error
