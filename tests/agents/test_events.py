"""Events between processes: delivery, drops, and everything that is not a message of ours."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.telemetry import MetricSnapshot, RollingMean
from mario_agents.telemetry.events import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    DeathPositions,
    Envelope,
    EventBroadcast,
    EventDecoder,
    EventDirectory,
    EventLogHandler,
    EventObserver,
    EventPublisher,
    EventSubscriber,
    Heartbeats,
    LearnerStatus,
    Log,
    Metrics,
    ProcessHeartbeat,
    WorkerStatus,
    read_server,
)
from mario_agents.telemetry.events.address import LOOPBACK, PREFIX
from mario_agents.telemetry.events.publisher import Stamp
from mario_envkit.errors import RunError
from tests.waiting import PATIENCE, pause, until

TOKEN = "0123456789abcdef"
DEATH = DeathPositions(level="1-1", positions=[523, 530])
SNAPSHOT = MetricSnapshot({"steps": 3.0}, {"epsilon": 0.5}, {"loss": RollingMean(2.0, 4)}, {})
EVENTS = [
    Metrics(step=7, snapshot=SNAPSHOT),
    Log(level=30, logger="a.b", text="hm"),
    DEATH,
    WorkerStatus(state="running", pid=1, step=2, max_stuck=3),
    LearnerStatus(state="stopped", pid=1, step=2, version=3),
    Heartbeats(step=9, processes=[ProcessHeartbeat(source="worker_0", pid=1, age=0.5, restarts=2)]),
]


def message(event=DEATH, run=TOKEN, **changes):
    stamp = Stamp(run, "worker_0", 0)
    fields = msgspec.to_builtins(stamp.envelope(event)) | changes
    return msgspec.msgpack.encode(fields)


def poll(receiver, count):
    """Poll until ``count`` messages came."""
    found = []
    until(lambda: len(found) >= count, lambda: found.extend(receiver.poll(0.1)))
    return found


@pytest.fixture
def short():
    """A folder with a short path, as sockets need it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(params=["ipc", "tcp"])
def directory(request, short):
    with EventDirectory(ipc=request.param == "ipc", root=short) as directory:
        yield directory


@pytest.fixture
def subscriber(directory):
    subscriber = EventSubscriber(directory.address("in"), run=TOKEN)
    yield subscriber
    subscriber.close()


@pytest.fixture
def connect(subscriber):
    made = []

    def connect(source="worker_0", **options):
        options = {"run": TOKEN, "source": source, **options}
        made.append(EventPublisher(subscriber.address, **options))
        return made[-1]

    yield connect
    for publisher in made:
        publisher.close(0)


def test_every_event_arrives_as_it_was_sent(subscriber, connect):
    publisher = connect("worker_3", generation=2)
    assert all(publisher.publish(event) for event in EVENTS)
    received = [envelope for envelope, _ in poll(subscriber, len(EVENTS))]
    assert repr([envelope.event for envelope in received]) == repr(EVENTS)  # NaN is not equal
    assert {(e.source, e.generation, e.version) for e in received} == {
        ("worker_3", 2, PROTOCOL_VERSION)
    }
    assert [envelope.sequence for envelope in received] == list(range(len(EVENTS)))
    assert subscriber.decoder.rejected.total == subscriber.decoder.lost == 0


def test_a_poll_is_bounded_and_ends(subscriber, connect):
    assert subscriber.poll(0.01) == []
    publisher, sizes = connect(), [0]

    def send_and_poll():
        for _ in range(10):
            publisher.publish(DEATH)
        sizes.append(len(subscriber.poll(0.1, limit=3)))

    until(lambda: sizes.count(3) == 5, send_and_poll)
    assert max(sizes) == 3


def test_a_full_queue_drops_and_says_so(subscriber, connect):
    publisher = connect(queue=10)
    taken = sum(publisher.publish(Log(level=10, logger="x", text="x" * 1000)) for _ in range(20000))
    assert 0 < taken < 20000
    assert publisher.dropped == 20000 - taken
    assert len(poll(subscriber, taken)) == taken
    until(lambda: publisher.publish(DEATH))
    ((envelope, _),) = poll(subscriber, 1)
    assert envelope.dropped == subscriber.decoder.dropped == publisher.dropped
    assert subscriber.decoder.lost == 0


def test_nobody_listens(short):
    """Not yet, or not any more: publishing returns at once, and so does closing."""
    publisher = EventPublisher(f"ipc://{short}/none", run=TOKEN, source="worker_0", queue=5)
    assert [publisher.publish(DEATH) for _ in range(8)] == [True] * 5 + [False] * 3
    publisher.close(0)
    publisher.close(0)
    assert not publisher.publish(DEATH)


def test_what_was_sent_before_anybody_listened_arrives(short):
    address = f"ipc://{short}/late"
    publisher = EventPublisher(address, run=TOKEN, source="worker_0")
    publisher.publish(DEATH)
    subscriber = EventSubscriber(address, run=TOKEN)
    assert len(poll(subscriber, 1)) == 1
    publisher.close()
    subscriber.close()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n", "malformed"),
        (b"\x80\x04\x95cposix\nsystem\n", "malformed"),
        (b"\x91" * 100_000, "malformed"),
        (msgspec.msgpack.encode({"version": "1", "run": TOKEN}), "malformed"),
        (message(event={"type": "death_positions", "level": "1-1"}), "malformed"),
        (
            message(event={"type": "death_positions", "level": "1-1", "positions": ["x"]}),
            "malformed",
        ),
        (message(source=b"\xff\xfe"), "malformed"),
        (message(event="metrics"), "malformed"),
        (message()[:-3], "malformed"),
        (message(version=0), "version"),
        (message(version=PROTOCOL_VERSION + 1, event={"type": "new"}), "version"),
        (message(run="another"), "run"),
        (message(event={"type": "new", "level": 3}), "unknown"),
        (b"\x00" * (MAX_MESSAGE_BYTES + 1), "malformed"),
    ],
)
def test_what_is_not_ours_is_counted_and_ignored(sent, reason):
    decoder = EventDecoder(TOKEN)
    assert decoder.decode(sent) is None
    assert getattr(decoder.rejected, reason) == decoder.rejected.total == 1
    assert decoder.decode(message()) is not None


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_break_the_decoder(noise, where):
    decoder, good = EventDecoder(TOKEN), message()
    for sent in (noise, good[:where] + noise, good[:where] + noise + good[where + len(noise) :]):
        found = decoder.decode(sent)
        assert found is None or isinstance(found, Envelope)


def test_messages_are_counted_once_and_gaps_noticed():
    decoder = EventDecoder(TOKEN)
    sequence = [0, 1, 1, 4, 3, 5]
    found = [decoder.decode(message(sender=9, sequence=number)) for number in sequence]
    assert [envelope.sequence for envelope in found if envelope] == [0, 1, 4, 5]
    assert (decoder.rejected.repeated, decoder.lost) == (2, 2)


def test_foreign_bytes_and_huge_messages_on_the_socket(subscriber, connect):
    context = zmq.Context()
    foreign = context.socket(zmq.PUSH)
    foreign.connect(subscriber.address)
    foreign.send(b"hello")
    foreign.send_multipart([b"two", b"parts"])
    foreign.send(message(version=0))
    heard = []
    until(
        lambda: subscriber.decoder.rejected.total == 3,
        lambda: heard.extend(subscriber.poll(0.1)),
    )
    assert heard == []
    assert subscriber.decoder.rejected.malformed == 2
    foreign.send(b"\x00" * (2 * MAX_MESSAGE_BYTES))
    publisher = connect()
    assert not publisher.publish(Log(level=1, logger="x", text="x" * (MAX_MESSAGE_BYTES + 1)))
    assert publisher.dropped == 1
    assert publisher.publish(DEATH)
    ((envelope, _),) = poll(subscriber, 1)
    assert (envelope.event, envelope.dropped) == (DEATH, 1)
    foreign.close(0)
    context.term()


def send_many(address, number, count):
    publisher = EventPublisher(address, run=TOKEN, source=f"worker_{number}", queue=count)
    for x in range(count):
        assert publisher.publish(DeathPositions(level="1-1", positions=[x]))
    publisher.close(linger=PATIENCE)


@pytest.mark.slow
def test_many_processes_send_at_once(subscriber):
    spawn = multiprocessing.get_context("spawn")
    count, workers = 2_000, 4
    processes = [
        spawn.Process(target=send_many, args=(subscriber.address, number, count))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    received = [envelope for envelope, _ in poll(subscriber, count * workers)]
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    for number in range(workers):
        ours = [e.event.positions[0] for e in received if e.source == f"worker_{number}"]
        assert ours == list(range(count))
    assert subscriber.decoder.lost == subscriber.decoder.rejected.total == 0


OBSERVER = """
import sys
from pathlib import Path
from mario_agents.telemetry.events import EventObserver
observer = EventObserver(Path(sys.argv[1]))
count = 0
while True:
    count += len(observer.poll(1.0))
    if count:
        print(count, flush=True)
"""


@pytest.fixture
def broadcast(directory, tmp_path):
    broadcast = EventBroadcast(directory.address("out"), run=TOKEN, run_path=tmp_path, queue=50)
    yield broadcast
    broadcast.close()


def send_until_seen(broadcast, observer, event):
    """Wait until an event gets through: subscribing, and emptying a queue, takes a moment."""

    def seen():
        broadcast.send(message(event))
        return any(envelope.event == event for envelope in observer.poll(0.05))

    until(seen)


def test_observers_see_what_passes_and_leave_no_trace(broadcast, tmp_path):
    observers = [EventObserver(tmp_path) for _ in range(2)]
    for observer in observers:
        send_until_seen(broadcast, observer, DEATH)
    observers[0].close()
    broadcast.send(b"noise")
    send_until_seen(broadcast, observers[1], EVENTS[1])
    assert observers[1].decoder.rejected.malformed == 1
    observers[1].close()
    broadcast.close()
    assert not (tmp_path / "events.json").exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_stopped_observer_holds_nobody_up(how, broadcast, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", OBSERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    other = EventObserver(tmp_path)
    try:
        os.set_blocking(process.stdout.fileno(), False)
        until(process.stdout.readline, lambda: (broadcast.send(message()), pause()))
        process.send_signal(how)
        text = Log(level=20, logger="x", text="x" * 4000)
        for _ in range(5_000):  # more than its queue and all buffers of the system hold
            broadcast.send(message(text))
        send_until_seen(broadcast, other, DEATH)
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()
        other.close()


def test_a_run_that_is_not_trained_cannot_be_observed(tmp_path):
    with pytest.raises(RunError, match="not being trained now"):
        EventObserver(tmp_path)
    (tmp_path / "events.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        read_server(tmp_path)
    (tmp_path / "events.json").write_text('{"version": 99, "run": "x", "address": "x", "pid": 1}')
    with pytest.raises(RunError, match="another version"):
        read_server(tmp_path)


def test_the_directory_is_private_and_goes_away(short):
    with EventDirectory(root=short) as directory:
        assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
        with EventDirectory(root=short) as other:
            assert other.path != directory.path
        assert directory.path.exists()
    directory.close()
    assert list(short.iterdir()) == []


def test_a_directory_that_was_left_behind_is_removed(short):
    script = (
        "import os, sys; from pathlib import Path; "
        "from mario_agents.telemetry.events import EventDirectory; "
        "EventDirectory(root=Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(short)])
    assert done.returncode == -signal.SIGKILL
    assert len(list(short.glob(f"{PREFIX}*"))) == 1
    with EventDirectory(root=short) as directory:
        assert list(short.glob(f"{PREFIX}*")) == [directory.path]


def test_long_paths_and_places_that_cannot_be_written(short):
    long = short / ("x" * 100)
    long.mkdir()
    with EventDirectory(root=long) as directory:
        EventSubscriber(directory.address("in"), run=TOKEN).close()
    with pytest.raises(RunError, match="set TMPDIR"):
        EventDirectory(root=short / "none")
    with pytest.raises(RunError, match="cannot be opened"):
        EventSubscriber(f"ipc://{short}/none/in", run=TOKEN)
    with EventDirectory(ipc=False) as directory:
        assert directory.address("in") == LOOPBACK


def test_log_records_become_events(subscriber, connect):
    logger = logging.getLogger("tests.events")
    logger.setLevel(logging.INFO)
    handler = EventLogHandler(connect())
    logger.addHandler(handler)
    try:
        logger.info("%d and %s", 1, "two")
        logger.debug("not this one")
        logger.warning("x" * 10_000)
    finally:
        logger.removeHandler(handler)
    first, second = (envelope.event for envelope, _ in poll(subscriber, 2))
    assert first == Log(level=logging.INFO, logger="tests.events", text="1 and two")
    assert (second.level, len(second.text)) == (logging.WARNING, 4000)
