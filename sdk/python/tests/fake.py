"""A scheduler that is none: it answers as it is told to, for what a real one does rarely."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What a request is answered with: status, and a body to be JSON or to be sent as it is.
Answer = tuple[int, Any]


class Fake:
    """Answers each request by `answer(method, path, headers, body)`, and notes it."""

    def __init__(self, answer: Callable[[str, str, dict[str, str], bytes], Answer]) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                fake.asked.append((self.command, self.path, headers))
                status, content = answer(self.command, self.path, headers, body)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def events(*what: dict[str, Any], first: int = 1, end: bool = True) -> bytes:
    """A stream of events, with the one that ends it or cut before that."""
    text = ""
    for seq, one in enumerate(what, first):
        event = {"seq": seq, "at": "now", "job": "default.1", "what": one}
        text += f"id: {seq}\ndata: {json.dumps(event)}\n\n"
    return (text + ("event: end\ndata: {}\n\n" if end else ": cut")).encode()
