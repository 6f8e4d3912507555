"""The archive: what it keeps, what it drops, and its files."""

from __future__ import annotations

import dataclasses
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.errors import ArchiveError, OptionError, SnapshotMismatch
from mario_envkit.game import ram as m
from mario_envkit.snapshots.archive import SUFFIX, ArchiveWarning, SnapshotArchive
from mario_envkit.snapshots.context import Saved
from mario_envkit.snapshots.entry import ArchivedSnapshot, Place, Practice

AREA, OTHER_AREA = 42640, 42700


def entry(x_pos: int, tick: int = 100, area: int = AREA, loops=(0, 0), level: str = "1-1"):
    saved = Saved(
        Snapshot("fake", "00" * 32, bytes([x_pos % 256]) * 40),
        (2**100, 5, 0, 0),
        (("MarioEnv", ((1, 1), tick, ("distance",), ((x_pos,),))),),
    )
    info = {"level": level, "area": area, "x_pos": x_pos, "y_pos": 79, "frame": tick}
    place = Place(level, area, x_pos // 25, 1, loops)
    return ArchivedSnapshot(place, saved, np.full((2, 3), x_pos, np.float32), info)


def test_places():
    ram = np.zeros(2048, np.uint8)
    info = {"level": "4-4", "area": AREA, "x_pos": 530, "y_pos": 100}
    place = Place.of(info, ram)
    assert place == ("4-4", AREA, 21, 2, (0, 0))
    ram[m.LOOP_CORRECT], ram[m.LOOP_PASSED] = 1, 2
    looped = Place.of(info, ram)
    assert looped != place
    assert looped.name != place.name
    assert Place.of({**info, "x_pos": 549}, ram) == looped
    for change in ({"x_pos": 550}, {"y_pos": 150}, {"area": 7}, {"level": "4-3"}):
        assert Place.of({**info, **change}, ram) != looped


def test_one_for_each_place_and_proven_ones_stay():
    archive = SnapshotArchive()
    first, later, sooner = entry(510, 300), entry(520, 400), entry(505, 200)
    assert archive.add(first)
    assert archive.add(later), "nothing speaks for the old one"
    archive.record(later, success=True)
    assert not archive.add(entry(515, 450))
    assert archive.get(later.place) is later
    assert archive.add(sooner), "as far, with more time left"
    assert len(archive) == 1
    assert archive.get(sooner.place) is sooner


def test_doomed_ones_are_dropped():
    archive = SnapshotArchive(doomed_after=3)
    doomed, saved_by_one = entry(500), entry(800)
    for one in (doomed, saved_by_one):
        archive.add(one)
    archive.record(saved_by_one, success=True)
    for attempt in range(3):
        assert doomed.place in archive, attempt
        archive.record(doomed, success=False)
        archive.record(saved_by_one, success=False)
    assert doomed.place not in archive
    assert saved_by_one.practice == Practice(4, 1)
    assert saved_by_one.practice.success_rate == 0.25


def test_outcomes_of_a_replaced_snapshot_do_not_touch_the_new_one():
    archive = SnapshotArchive(doomed_after=1)
    old, new = entry(500), entry(501)
    archive.add(old)
    archive.add(new)
    archive.record(old, success=False)
    assert archive.get(new.place) is new
    assert new.practice == Practice()


def test_over_the_limit_goes_what_is_mastered_then_what_is_unused():
    archive = SnapshotArchive(max_entries=3)
    a, b, c, d, e = (entry(x) for x in (100, 200, 300, 400, 500))
    for one in (a, b, c):
        archive.add(one)
    for _ in range(10):
        archive.record(c, success=True)
    archive.add(d)
    assert [x.x_pos for x in archive] == [100, 200, 400]
    archive.record(a, success=False)
    archive.add(e)
    assert {x.x_pos for x in archive} == {100, 400, 500}


def test_which_one_to_practise_from():
    archive = SnapshotArchive()
    for one in (entry(300), entry(440), entry(470), entry(600), entry(50, 900, OTHER_AREA)):
        archive.add(one)
    archive.add(entry(440, 50, level="1-2"))

    def choose(death_x, restore_x, level="1-1", area=AREA, tick=1000):
        chosen = archive.choose(level, area, death_x, restore_x, tick)
        return chosen and (chosen.x_pos, chosen.place.level)

    assert choose(530, 450) == (440, "1-1"), "the suggested position counts"
    assert choose(530, 290) == (470, "1-1"), "none there: the nearest before the death"
    assert choose(200, 150) == (50, "1-1"), "none in this area: the last one before"
    assert choose(200, 150, tick=120) is None, "that one was saved later"
    assert choose(30, 0, area=OTHER_AREA, tick=99) is None, "all came later"
    assert choose(530, 450, level="1-2") == (440, "1-2")
    assert choose(530, 450, level="1-3") is None


def test_what_the_game_took_on_its_own_way_comes_first_if_it_is_near():
    archive = SnapshotArchive()
    for one in (entry(300), entry(440)):
        archive.add(one)

    def choose(*own):
        return archive.choose("1-1", AREA, 530, 450, 1000, own)

    assert choose().x_pos == 440
    near, nearer = entry(350, 20), entry(430, 30)
    assert choose(near, nearer) is nearer
    assert choose(near) is near
    assert choose(entry(349)).x_pos == 440, "too far back"
    assert choose(entry(475)).x_pos == 475, "a bucket may be between"
    assert choose(entry(476)).x_pos == 440, "too near to the death"
    assert choose(entry(430, 30, OTHER_AREA)).x_pos == 440
    assert choose(entry(430, 30, level="1-2")).x_pos == 440
    for _ in range(archive.doomed_after):
        archive.record(nearer, success=False)
    assert choose(near, nearer) is near, "from the other one he always died"


@given(
    xs=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9), st.booleans()), max_size=80),
    limit=st.integers(1, 8),
)
def test_it_never_exceeds_its_limit_and_files_follow(tmp_path_factory, xs, limit):
    directory = tmp_path_factory.mktemp("archive")
    archive = SnapshotArchive(max_entries=limit)
    for bucket, tick, success in xs:
        one = entry(bucket * 25, tick)
        if archive.add(one):
            archive.record(one, success=success)
        assert len(archive) <= limit
        if tick == 0:
            archive.save(directory)
    archive.save(directory)
    assert {p.stem for p in directory.glob("*" + SUFFIX)} == {e.place.name for e in archive}
    read = SnapshotArchive.load(directory, max_entries=limit)
    assert {e.place: e.practice for e in read} == {e.place: e.practice for e in archive}


def test_bytes_and_back():
    one = entry(530, loops=(1, 2))
    one.practice.attempts = 4
    again = ArchivedSnapshot.from_bytes(one.to_bytes())
    assert (again.place, again.saved, again.info, again.practice) == (
        one.place, one.saved, one.info, one.practice,
    )  # fmt: skip
    assert np.array_equal(again.observation, one.observation)
    assert isinstance(again.place.loops, tuple)


@given(st.data())
def test_damaged_bytes_are_noticed(data):
    raw = bytearray(entry(530).to_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SnapshotMismatch):
        ArchivedSnapshot.from_bytes(bytes(raw))


def test_what_a_file_cannot_hold_is_said():
    one = entry(530)
    odd = dataclasses.replace(one.saved, layers=(("MarioEnv", (object(),)),))
    with pytest.raises(SnapshotMismatch, match="remembers a object"):
        dataclasses.replace(one, saved=odd).to_bytes()


def test_damaged_files_are_passed_over(tmp_path):
    archive = SnapshotArchive()
    good, bad = entry(100), entry(200)
    archive.add(good)
    archive.add(bad)
    archive.save(tmp_path)
    (tmp_path / (bad.place.name + SUFFIX)).write_bytes(bad.to_bytes()[:-9])
    (tmp_path / ("directory" + SUFFIX)).mkdir()
    (tmp_path / "notes.txt").write_text("not ours")
    with pytest.warns(ArchiveWarning, match="passed over") as warned:
        read = SnapshotArchive.load(tmp_path)
    assert len(warned) == 2
    assert [e.place for e in read] == [good.place]


def test_more_files_than_there_is_room_for(tmp_path):
    big = SnapshotArchive()
    for x in range(0, 500, 25):
        big.add(entry(x))
    big.save(tmp_path)
    with pytest.warns(ArchiveWarning, match="5 snapshots, its limit, and 15 more"):
        small = SnapshotArchive.load(tmp_path, max_entries=5)
    assert len(small) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert small.update(tmp_path) == 0, "said once is enough"
    small.save(tmp_path)
    assert len(list(tmp_path.glob("*" + SUFFIX))) == 20, "what did not fit is not lost"


def test_two_archives_exchange_through_a_directory(tmp_path):
    ours, theirs = SnapshotArchive(doomed_after=1), SnapshotArchive()
    a, b = entry(100), entry(200)
    ours.add(a)
    theirs.add(b)
    ours.save(tmp_path)
    theirs.save(tmp_path)
    assert ours.update(tmp_path) == 1
    assert theirs.update(tmp_path) == 1
    assert ours.update(tmp_path) == 0
    ours.record(ours.get(b.place), success=False)
    assert ours.update(tmp_path) == 0, "what we know to be doomed does not come back"
    ours.save(tmp_path)
    assert [p.stem for p in tmp_path.glob("*" + SUFFIX)] == [a.place.name]
    elsewhere = tmp_path / "elsewhere"
    theirs.save(elsewhere)
    assert len(list(elsewhere.glob("*" + SUFFIX))) == 2, "another directory gets everything"


def test_reading_while_it_is_written(tmp_path):
    done = threading.Event()

    def write():
        for step in range(40):
            archive = SnapshotArchive()
            for x in range(0, 75, 25):
                archive.add(entry(x, tick=step))
            archive.save(tmp_path)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", ArchiveWarning)  # as half a file would give
        while not done.is_set():
            assert len(SnapshotArchive.load(tmp_path)) <= 3
            reads += 1
    writer.join()
    assert reads > 3
    assert [e.tick for e in SnapshotArchive.load(tmp_path)] == [39] * 3


def test_bad_arguments_and_directories(tmp_path):
    with pytest.raises(OptionError, match="1 or more"):
        SnapshotArchive(max_entries=0)
    assert len(SnapshotArchive.load(tmp_path / "not there yet")) == 0
    blocked = tmp_path / "a file"
    blocked.write_text("")
    archive = SnapshotArchive()
    archive.add(entry(100))
    with pytest.raises(ArchiveError, match="cannot be written"):
        archive.save(blocked)
    with pytest.raises(ArchiveError, match="cannot be read"):
        archive.update(blocked)
    archive.save(tmp_path / "good")
    assert len(SnapshotArchive.load(tmp_path / "good")) == 1, "nothing was lost by the failure"
