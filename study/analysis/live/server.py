"""Serve the live page of a study on this machine alone.

The address has a random token, so that no other page and no other user of the machine can guess it. Requests whose Host
or Origin is foreign are refused: a page in the same browser cannot read the study by another name of this machine (DNS
rebinding).
"""

import json
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from study.errors import one_line

HOST = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Answer = tuple[str, str]  # type of the content, and the content
Pages = Mapping[str, Callable[[Mapping[str, str]], Answer | None]]


class LiveServer(ThreadingHTTPServer):
    """Answers requests for the pages of one study below a secret address."""

    daemon_threads = True

    def __init__(self, pages: Pages, port: int = 0):
        """Listen on 127.0.0.1.

        Args:
            pages: by name, functions that take the arguments of a request and return the answer, or None for 404. ""
                is the first page.
            port: the port; 0 takes a free one.

        Raises:
            OSError: the port cannot be used.
        """
        self.pages = pages
        self.token = secrets.token_urlsafe(24)
        super().__init__((HOST, port), _Handler)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """The address of the first page."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    @property
    def hosts(self) -> set[str]:
        """The names under which the server may be asked."""
        return {f"{name}:{self.port}" for name in (HOST, "localhost")}


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer
    server_version, sys_version = "study", ""

    def do_GET(self) -> None:
        """Answer a request, or refuse it."""
        if not self._is_own():
            self._send(HTTPStatus.FORBIDDEN, ("text/plain", "forbidden\n"))
            return
        url = urlsplit(self.path)
        token, _, name = url.path.removeprefix("/").partition("/")
        known = secrets.compare_digest(token.encode(), self.server.token.encode())
        if not known or name not in self.server.pages:
            self._send(HTTPStatus.NOT_FOUND, ("text/plain", "not found\n"))
            return
        arguments = {key: values[-1] for key, values in parse_qs(url.query).items()}
        try:
            answer = self.server.pages[name](arguments)
        except OSError as error:  # for example, the study has been moved
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, ("text/plain", f"{one_line(error)}\n"))
            return
        if answer is None:
            self._send(HTTPStatus.NOT_FOUND, ("text/plain", "not found\n"))
        else:
            self._send(HTTPStatus.OK, answer)

    def _is_own(self) -> bool:
        """Whether the request comes from this server's own page, or is typed in."""
        origin = self.headers.get("Origin")
        own = {f"http://{host}" for host in self.server.hosts}
        return self.headers.get("Host") in self.server.hosts and (origin is None or origin in own)

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        kind, content = answer
        body = content.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            **HEADERS,
        }.items():
            self.send_header(name, value)
        try:
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # the browser has closed the page
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Print nothing: the terminal belongs to the sweep, and addresses hold the token."""


def as_json(content: Any) -> Answer:
    """Return plain values as the answer to a request."""
    return "application/json", json.dumps(content, separators=(",", ":"), allow_nan=False)
