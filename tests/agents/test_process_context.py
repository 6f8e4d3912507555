"""How the processes of a run are started."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_all_start_methods
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import mario_agents
from mario_agents.runtime.processes.process import MAX_FORKED, process_context
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif("forkserver" not in get_all_start_methods(), reason="there is none")


def signal_the_server(number: signal.Signals, sender: Connection) -> None:
    server = os.getppid()
    os.kill(server, number)
    ignored = signal.getsignal(number) is signal.SIG_IGN
    sender.send_bytes(f"{server} {ignored}".encode())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_fork_server_does_not_hear_signals_of_the_terminal(number: signal.Signals) -> None:
    context = process_context(1)
    receiver, sender = context.Pipe(duplex=False)
    servers = set()
    for _ in range(2):
        child = context.Process(target=signal_the_server, args=(number, sender))
        child.start()
        assert receiver.poll(PATIENCE)
        server, ignored = receiver.recv_bytes().decode().split()
        servers.add(server)
        assert ignored == "True"
        child.join(PATIENCE)
        assert child.exitcode == 0
    assert len(servers) == 1


def test_processes_never_import_another_package_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mario_agents").mkdir()
    monkeypatch.chdir(tmp_path)
    assert process_context(1).get_start_method() == "spawn"
    monkeypatch.chdir(Path(mario_agents.__file__).parents[1])
    assert process_context(1).get_start_method() == "forkserver"


def test_so_many_descriptors_do_not_pass_through_a_fork_server() -> None:
    assert process_context(MAX_FORKED).get_start_method() == "forkserver"
    assert process_context(MAX_FORKED + 1).get_start_method() == "spawn"
