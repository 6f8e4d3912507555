"""A model hub on this machine, with as much of the protocol of the Hugging Face Hub as it takes to
send and to fetch a few files (https://huggingface.co/docs/hub/api)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse


class ModelHub:
    """Repositories in memory.

    Attributes:
        repos: files of each repository, by name.
        endpoint: address.
        asked: method and path of every request.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        self.endpoint = ""

    def revision(self, repo: str) -> str:
        """Changes with the content."""
        content = sorted((path, raw.hex()) for path, raw in self.repos[repo].items())
        return hashlib.sha1(repr(content).encode()).hexdigest()

    def commit(self, repo: str, lines: bytes) -> dict[str, Any]:
        """Take files in, as lines of JSON bring them."""
        for line in map(json.loads, lines.splitlines()):
            if line["key"] == "file":
                value = line["value"]
                self.repos[repo][value["path"]] = base64.b64decode(value["content"])
        revision = self.revision(repo)
        url = f"{self.endpoint}/{repo}/commit/{revision}"
        return {"success": True, "commitOid": revision, "commitUrl": url}

    def about(self, repo: str) -> dict[str, Any]:
        """What is in a repository."""
        siblings = [{"rfilename": path} for path in self.repos[repo]]
        return {"id": repo, "modelId": repo, "sha": self.revision(repo), "siblings": siblings,
                "private": False, "tags": [], "downloads": 0, "likes": 0}  # fmt: skip

    def tree(self, repo: str) -> list[dict[str, Any]]:
        """The same as a list of files."""
        return [
            {"type": "file", "path": path, "size": len(raw), "oid": hashlib.sha1(raw).hexdigest()}
            for path, raw in self.repos[repo].items()
        ]


@contextmanager
def running_hub() -> Iterator[ModelHub]:
    """A hub on the loopback interface."""
    hub = ModelHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            """Nothing on the terminal."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self._path()
            if path == "/api/repos/create":
                wanted = json.loads(body)
                repo = "/".join(filter(None, (wanted.get("organization"), wanted["name"])))
                hub.repos.setdefault(repo, {})
                return self._json({"url": f"{hub.endpoint}/{repo}", "id": repo, "name": repo})
            if path == "/api/validate-yaml":
                return self._json({"errors": [], "warnings": []})
            match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path)
            if match is None or match[1] not in hub.repos:
                return self._missing()
            if match[2] == "commit":
                return self._json(hub.commit(match[1], body))
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(body)["files"]
            ]
            return self._json({"files": files})

        def do_GET(self) -> None:
            path = self._path()
            api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/[^/]+)?/?", path)
            if api is not None and api[1] in hub.repos:
                return self._json(hub.tree(api[1]) if api[2] == "tree" else hub.about(api[1]))
            file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
            if file is not None and file[2] in hub.repos.get(file[1], {}):
                raw = hub.repos[file[1]][file[2]]
                tag = hashlib.sha1(raw).hexdigest()
                more = {"ETag": f'"{tag}"', "X-Repo-Commit": hub.revision(file[1])}
                return self._answer(200, raw, "application/octet-stream", more)
            return self._missing()

        def do_HEAD(self) -> None:
            self.do_GET()

        def _path(self) -> str:
            path = unquote(urlparse(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            return path

        def _missing(self) -> None:
            self._answer(404, b"{}", "application/json", {"X-Error-Code": "RepoNotFound"})

        def _json(self, value: object) -> None:
            self._answer(200, json.dumps(value).encode(), "application/json", {})

        def _answer(self, status: int, raw: bytes, kind: str, more: dict[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(raw)))
            for name, text in more.items():
                self.send_header(name, text)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
