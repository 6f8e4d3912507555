"""Serves the dashboard of a run: one process of it for each page that is open."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import ipaddress
import os
import secrets
import shlex
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mario_agents.monitor.web.access import COOKIE, HEADERS, Access
from mario_agents.run import RunDir
from mario_envkit.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HERE = Path(__file__).parent
FILES = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js"}
MAX_VIEWERS = 8
"""Pages with a dashboard at a time: each is a process of some 100 MB."""
END_SECONDS = 5.0
"""Time that dashboards have to end."""


def serve(run_path: Path, *, host: str, port: int, token: bool) -> None:
    """Serve the dashboard of a run until Ctrl-C; the run goes on.

    Args:
        run_path: the run directory.
        host: name or address to listen at; for any but loopback a token is demanded.
        port: to listen at; 0 takes any that is free.
        token: demand a token at loopback too.

    Raises:
        RunError: if there is no run in ``run_path``.
        OptionError: without textual-serve, or if nobody can listen there.
    """
    RunDir.open(run_path)
    if importlib.util.find_spec("textual_serve") is None:
        raise OptionError("--web needs the package textual-serve: pip install 'mario-envkit[web]'.")
    from aiohttp import web

    listener = listen(host, port)
    address = listener.getsockname()
    local = ipaddress.ip_address(address[0]).is_loopback
    secret = secrets.token_urlsafe(32) if token or not local else None
    app = Site(run_path, Access(secret, f"{COOKIE}_{address[1]}")).application()
    print(_announcement(run_path, address, secret, local=local), flush=True)
    # Access is not logged: the first request of each browser has the token in it.
    web.run_app(app, sock=listener, access_log=None, print=None, shutdown_timeout=1.0)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at ``host``.

    Raises:
        OptionError: if that is no address of this machine, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, *_, address = found[0]
        return socket.create_server((address[0], port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OptionError(f"Port {port} is in use; choose another with --port.") from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise OptionError(f"Port {port} is not for users; choose one above 1023.") from None
        raise OptionError(
            f"--host {host!r} is no address of this machine ({error.strerror}); leave it out, or "
            "give one of its addresses, or 0.0.0.0 for all of them."
        ) from None


class Site:
    """What is served.

    Args:
        run_path: the run directory.
        access: who may see it.
    """

    def __init__(self, run_path: Path, access: Access) -> None:
        from textual_serve.server import Server

        self._access = access
        self._viewers: set[asyncio.Task[object]] = set()
        self._server = Server(_dashboard_command(run_path))

    def application(self) -> web.Application:
        """The pages, the socket, and the guard before all of them."""
        from aiohttp import web

        app = web.Application(middlewares=[web.middleware(partial(_guard, self._access))])
        app.add_routes([web.get(path, self._file) for path in FILES])
        app.add_routes([web.get("/ws", self._dashboard)])
        app.add_routes([web.static("/static", self._server.statics_path)])
        app.on_response_prepare.append(_set_headers)
        app.on_shutdown.append(self._end)
        return app

    async def _file(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        return web.FileResponse(HERE / FILES[request.path])

    async def _dashboard(self, request: web.Request) -> web.StreamResponse:
        """A dashboard for one page, as long as that is open."""
        from aiohttp import web

        if len(self._viewers) >= MAX_VIEWERS:
            return web.Response(
                status=503, text=f"{MAX_VIEWERS} pages show this dashboard; close one of them.\n"
            )
        viewer = asyncio.current_task()
        assert viewer is not None
        self._viewers.add(viewer)
        try:
            answer: web.StreamResponse = await self._server.handle_websocket(request)
        finally:
            self._viewers.discard(viewer)
        return answer

    async def _end(self, app: web.Application) -> None:
        for viewer in self._viewers:
            viewer.cancel()
        if self._viewers:
            await asyncio.wait(self._viewers, timeout=END_SECONDS)


async def _guard(access: Access, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request comes by here, that for the socket too."""
    from aiohttp import web

    given = request.query.get("token")
    refusal = access.refusal(
        host=request.host,
        origin=request.headers.get("Origin"),
        given=given,
        kept=request.cookies.get(access.cookie),
    )
    if refusal is not None:
        return web.Response(status=403, text=refusal + "\n")
    if request.path == "/" and access.accepts(given):
        # From here on a cookie has the token: an address is easily shown to somebody.
        answer = web.Response(status=303, headers={"Location": "./"})
        answer.set_cookie(access.cookie, str(given), httponly=True, samesite="Lax")
        return answer
    return await handler(request)


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _dashboard_command(run_path: Path) -> str:
    """What a shell is told to run: a dashboard that ends with this process."""
    words = [sys.executable, "-m", "mario_agents.monitor", str(run_path), str(os.getpid()), "web"]
    if sys.platform == "win32":
        return subprocess.list2cmdline(words)
    return f"exec {shlex.join(words)}"


def _announcement(
    run_path: Path, address: tuple[str, int], token: str | None, *, local: bool
) -> str:
    host, port = address[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = socket.gethostname()
    place = f"[{host}]" if ":" in host else host
    query = "" if token is None else f"?token={token}"
    lines = [f"Dashboard of {run_path}: http://{place}:{port}/{query}"]
    if not local:
        lines.append(
            "Whoever has this address can watch the run and stop it. It is not encrypted: in a "
            "network that you do not trust, leave --host out and use an SSH tunnel."
        )
    return "\n".join([*lines, "Ctrl-C ends this; the run goes on."])
