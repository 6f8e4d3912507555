"""Who may look at a dashboard that is served, and where it can be."""

from __future__ import annotations

import pytest

from mario_agents.monitor.web import access
from mario_agents.monitor.web.access import Access
from mario_agents.monitor.web.server import listen
from mario_envkit.errors import OptionError
from tests.agents.run_files import write_run

LOCAL = {"host": "localhost:8000", "origin": None, "given": None, "kept": None}
SECRET = "s3cret"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "127.0.0.2:80", "[::1]:8000"])
def test_without_a_token_it_answers_to_names_of_this_machine(host):
    assert Access(None, "c").refusal(**{**LOCAL, "host": host}) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "192.168.0.9", "", "[", "a:b"]
)
def test_other_names_may_be_those_of_another_site(host):
    """Which has given its name our address, so that the browser takes us for it."""
    assert Access(None, "c").refusal(**{**LOCAL, "host": host}) == access.WRONG_HOST


@pytest.mark.parametrize("token", [None, SECRET])
def test_pages_of_other_sites_are_refused(token):
    who = Access(token, "c")
    for origin in ("http://evil.example", "http://localhost:9000", "null", "http://localhost"):
        asked = {**LOCAL, "origin": origin, "given": SECRET}
        assert who.refusal(**asked) == access.WRONG_ORIGIN
    assert who.refusal(**{**LOCAL, "origin": "http://localhost:8000", "given": SECRET}) is None


@pytest.mark.parametrize("wrong", [None, "", "s3cre", "s3cret ", "S3CRET", "ß", "\udcff"])
def test_a_token_has_to_be_right(wrong):
    who = Access(SECRET, "c")
    for host in ("localhost:8000", "machine.example:8000"):
        asked = {**LOCAL, "host": host}
        assert who.refusal(**{**asked, "given": wrong, "kept": wrong}) == access.WRONG_TOKEN
        assert who.refusal(**{**asked, "given": SECRET, "kept": wrong}) is None
        assert who.refusal(**{**asked, "given": wrong, "kept": SECRET}) is None


def test_what_is_refused_of_options(cli, tmp_path):
    write_run(tmp_path / "run", video=False)
    for words in (["--host", "127.0.0.1"], ["--port", "80"], ["--token"]):
        done = cli("monitor", tmp_path / "run", *words)
        assert done.returncode == 2
        assert "add --web" in done.stderr
    assert "--port=65536 is not possible" in cli("monitor", "run", "--web", "--port", 65536).stderr
    assert "no run" in cli("monitor", "nowhere", "--web").stderr


def test_addresses_that_cannot_be_listened_at():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OptionError, match=f"Port {port} is in use; choose another"):
            listen("127.0.0.1", port)
    for wrong in ("203.0.113.7", "no such name."):
        with pytest.raises(OptionError, match=f"--host '{wrong}' is no address of this machine"):
            listen(wrong, 0)
