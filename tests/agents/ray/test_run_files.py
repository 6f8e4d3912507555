"""The copy of a run directory that an actor on another node has; without Ray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mario_agents.run.storage import GrowingFile
from mario_agents.runtime.ray.files_actor import RunFiles
from mario_agents.runtime.ray.run_files import RunCopy, Wanted
from mario_envkit.errors import RunError
from mario_envkit.files import replace_text
from tests.agents.disks import FaultyDisk


def calls(run: Path, made: list[str] | None = None) -> Callable[..., Any]:
    files = RunFiles(str(run))

    def call(method: str, *arguments: Any) -> Any:
        if made is not None:
            made.append(f"{method} {arguments[0]}")
        return getattr(files, method)(*arguments)

    return call


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    (path / "snapshots").mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "worker_0.csv").write_text("step\n1\n")
    (path / "worker_1.csv").write_text("step\n2\n")
    (path / "snapshots" / "a.snapshot").write_bytes(b"a")
    return path


def copy_of(run: Path, folder: Path, source: str = "worker_0", **kwargs: Any) -> RunCopy:
    folder.mkdir()
    copy = RunCopy(folder, calls(run, **kwargs), Wanted.by(source))
    copy.begin()
    return copy


def test_a_worker_has_what_it_needs_and_nothing_else(run: Path, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "copy")
    found = {path.relative_to(tmp_path / "copy").as_posix() for path in tmp_path.rglob("copy/**/*")}
    assert found == {"config.json", "worker_0.csv", "snapshots", "snapshots/a.snapshot"}
    copy.close()


def test_what_is_written_arrives_whole_or_as_what_was_added(run: Path, tmp_path: Path) -> None:
    made: list[str] = []
    copy = copy_of(run, tmp_path / "copy", made=made)
    file = GrowingFile(tmp_path / "copy" / "worker_0.csv")
    file.append(b"3\n")
    replace_text(tmp_path / "copy" / "weights.json", "first")
    copy.settle()
    assert (run / "worker_0.csv").read_text() == "step\n1\n3\n"
    assert (run / "weights.json").read_text() == "first"
    made.clear()
    copy.settle()
    assert made == []
    # Somebody has cut it: what is here counts.
    (run / "worker_0.csv").write_text("")
    file.append(b"4\n")
    copy.settle()
    copy.settle()
    assert (run / "worker_0.csv").read_text() == "step\n1\n3\n4\n"
    assert (run / "config.json").read_text() == "{}"
    copy.close()


def test_snapshots_go_both_ways(run: Path, tmp_path: Path) -> None:
    ours = copy_of(run, tmp_path / "ours")
    theirs = copy_of(run, tmp_path / "theirs", "worker_1")
    (tmp_path / "ours" / "snapshots" / "b.snapshot").write_bytes(b"b")
    (tmp_path / "ours" / "snapshots" / "a.snapshot").unlink()
    ours.settle()
    assert [path.name for path in (run / "snapshots").iterdir()] == ["b.snapshot"]
    theirs.fetch()
    assert [path.name for path in (tmp_path / "theirs/snapshots").iterdir()] == ["b.snapshot"]
    for copy in (ours, theirs):
        copy.close()
    assert (run / "snapshots" / "b.snapshot").read_bytes() == b"b"


def test_of_videos_a_worker_knows_that_they_are_there(run: Path, tmp_path: Path) -> None:
    (run / "videos").mkdir()
    (run / "videos" / "first-flag.mp4").write_bytes(b"x" * 1000)
    copy = copy_of(run, tmp_path / "copy")
    assert (tmp_path / "copy" / "videos" / "first-flag.mp4").read_bytes() == b""
    copy.close()
    assert (run / "videos" / "first-flag.mp4").stat().st_size == 1000


def test_a_disk_that_refuses_is_tried_again_and_told_at_the_end(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_of(run, tmp_path / "copy")
    disk = FaultyDisk(run, monkeypatch)
    disk.full = True
    replace_text(tmp_path / "copy" / "curriculum.json", "{}")
    with pytest.raises(RunError, match=r"^curriculum.json cannot be written: No space left"):
        copy.settle()
    disk.full = False
    copy.settle()
    assert (run / "curriculum.json").read_text() == "{}"
    copy.close()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "snapshots/../../secret"])
def test_no_file_beside_the_run_directory_is_touched(run: Path, name: str) -> None:
    with pytest.raises(RunError, match="is not in the run directory"):
        RunFiles(str(run)).read(name)


def test_who_was_given_up_writes_nothing_any_more(run: Path) -> None:
    """It may come back when another process is at its work, with all that it has not sent yet."""
    files = RunFiles(str(run))
    assert files.call("first", "write", "worker_0.csv", b"1\n", 0).size == 2
    files.revoke("first")
    for method in ("write", "remove", "read"):
        with pytest.raises(RunError, match="This process was given up"):
            files.call("first", method, "worker_0.csv")
    assert files.call("second", "read", "worker_0.csv") == b"1\n"
    assert "worker_0.csv" in files.call("second", "stamps", ["worker_0.csv"])
