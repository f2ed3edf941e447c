"""An OpenAI-compatible server that follows a script: it answers, fails, hangs and resets on cue."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_DRIBBLE = 0.005  # seconds between the bytes of a slow reply


@dataclass(frozen=True)
class Send:
    """A reply with a status and a body."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reset:
    """Close the connection the hard way, before a reply or within its body."""

    after: bytes = b""


@dataclass(frozen=True)
class Hang:
    """Reply nothing until the server closes."""


@dataclass(frozen=True)
class Slow:
    """Reply one byte after another, never to the end."""


Action = Send | Reset | Hang | Slow
Script = Callable[[dict[str, Any], int], Action]


def completion(
    *texts: str | None, usage: Mapping[str, Any] | None = None, finish: str = "stop"
) -> Send:
    """A well-formed reply that holds these answers."""
    choices = [
        {"index": i, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        for i, text in enumerate(texts)
    ]
    document: dict[str, Any] = {"id": "1", "object": "chat.completion", "choices": choices}
    return Send(json.dumps(document | ({"usage": usage} if usage else {})).encode())


def usage(prompt: int, answer: int, cached: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def refusal(
    status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Send:
    """An error as OpenAI words it."""
    error = {"message": message, "type": "error", "param": None, "code": code}
    return Send(json.dumps({"error": error}).encode(), status, headers=headers or {})


def html(status: int = 200, title: str = "502 Bad Gateway") -> Send:
    page = f"<!doctype html><html><head><title>{title}</title></head><body>no</body></html>"
    return Send(page.encode(), status, "text/html")


class FakeServer:
    """A server on the loopback interface, in threads of this process.

    Args:
        script: actions in order, the last one repeated; or a function of the request's body and
            its number, from 0.

    Attributes:
        requests: bodies of the requests so far.
        headers: their headers.
    """

    def __init__(self, script: Sequence[Action] | Script) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.busiest = 0  # most requests under way at the same time
        self._busy = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._script: Script = script if callable(script) else _following(list(script))
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        )

    @property
    def address(self) -> str:
        """Base address for a client."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def act(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        body = json.loads(handler.rfile.read(length) or b"{}")
        with self._lock:
            number = len(self.requests)
            self.requests.append(body)
            self.headers.append({k.lower(): v for k, v in handler.headers.items()})
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            self._perform(self._script(body, number), handler)
        finally:
            with self._lock:
                self._busy -= 1

    def _perform(self, action: Action, handler: BaseHTTPRequestHandler) -> None:
        match action:
            case Send():
                handler.send_response(action.status)
                handler.send_header("Content-Type", action.kind)
                handler.send_header("Content-Length", str(len(action.body)))
                for name, value in action.headers.items():
                    handler.send_header(name, value)
                handler.end_headers()
                handler.wfile.write(action.body)
            case Reset():
                if action.after:
                    handler.send_response(200)
                    handler.send_header("Content-Length", "100000")
                    handler.end_headers()
                    handler.wfile.write(action.after)
                # Closing with unsent data forbidden to linger makes a reset of it.
                linger = struct.pack("ii", 1, 0)
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                handler.connection.close()
            case Hang():
                self._closing.wait()
            case Slow():
                handler.send_response(200)
                handler.send_header("Content-Length", "100000")
                handler.end_headers()
                while not self._closing.wait(_DRIBBLE):
                    handler.wfile.write(b" ")


def _following(actions: list[Action]) -> Script:
    return lambda body, number: actions[min(number, len(actions) - 1)]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that leave in the middle are what these tests are about


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True  # else each reply waits 40 ms for an acknowledgement

        def do_POST(self) -> None:
            server.act(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
