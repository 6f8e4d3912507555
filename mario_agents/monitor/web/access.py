"""Who may see a dashboard that is served over HTTP: whoever is at this machine, or has the token.

The dashboard can stop its run, so that it must not be open to others: not to other machines, and
not to pages of other sites in a browser that may reach it (cross-site requests, DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

COOKIE = "mario_agents_token"
"""Prefix of the cookie; the port follows, for browsers send cookies to all ports of a host."""
HEADERS = {
    # The page may ask for nothing from anywhere else, and may be in no frame of another one.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "font-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""

WRONG_TOKEN = (
    "The token is missing or wrong; open the address that `mario-agents monitor --web` printed."
)
WRONG_ORIGIN = "Pages of other sites may not ask for this dashboard; open its own address."
WRONG_HOST = (
    "Without a token this dashboard is shown at localhost only; start it with --token, or with "
    "--host and the address to look at it from elsewhere."
)


@dataclass(frozen=True, slots=True)
class Access:
    """Decides on requests.

    Attributes:
        token: what a request has to bring, in its query or as a cookie; None asks for none, and
            answers only requests to a loopback name.
        cookie: name of the cookie.
    """

    token: str | None = field(repr=False)
    cookie: str

    def refusal(
        self, *, host: str, origin: str | None, given: str | None, kept: str | None
    ) -> str | None:
        """Why a request is refused, in a sentence; None lets it pass.

        Args:
            host: its ``Host`` header, such as ``localhost:8000``.
            origin: its ``Origin`` header, if it has one: the site of the page that asks.
            given, kept: the token in its query and in its cookie, if there are any.
        """
        if origin is not None and urlsplit(origin).netloc != host:
            return WRONG_ORIGIN
        if self.token is None:
            return None if _is_loopback_name(host) else WRONG_HOST
        return None if self.accepts(given) or self.accepts(kept) else WRONG_TOKEN

    def accepts(self, token: str | None) -> bool:
        """Whether ``token`` is the right one, compared in constant time."""
        if self.token is None or token is None:
            return False
        return secrets.compare_digest(token.encode(errors="replace"), self.token.encode())


def _is_loopback_name(host: str) -> bool:
    """Whether a ``Host`` header names this machine and cannot be somebody's name for it."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
