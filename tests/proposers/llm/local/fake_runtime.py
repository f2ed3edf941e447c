"""Stands in for the runtime: same protocol, no model. What a prompt says decides what happens.

Run as a process of its own: `python fake_runtime.py [WAY]`, where WAY is a way not to start.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]


class Handler(BaseHTTPRequestHandler):
    """Answers like llama.cpp's server, as far as `LocalModel` uses it."""

    key = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {self.key}":
            self.answer({"error": {"message": "Invalid API Key"}}, 401)
        elif self.path == "/apply-template":
            texts = [f"<{m['role']}>{m['content']}" for m in body["messages"]]
            self.answer({"prompt": "".join(texts) + "<assistant>"})
        else:
            self.complete(body)

    def complete(self, body: dict[str, Any]) -> None:
        prompt = body["prompt"]
        if "CRASH" in prompt:
            os.write(2, b"GGML_ASSERT failed\n")
            os._exit(1)
        if "HANG" in prompt:
            threading.Event().wait()
        while "SPIN" in prompt:
            pass
        if "LONG" in prompt:
            self.answer({"error": {"message": "exceeds the available context size"}}, 400)
        elif "EMPTY" in prompt:
            self.answer([])
        elif "ECHO" in prompt:
            self.answer([completion(json.dumps(body, sort_keys=True), 0)])
        else:
            count = body["n_cmpl"]
            found = [completion(WORDS[index], index) for index in range(count)]
            if "TAIL" in prompt:
                found[0]["stopping_word"] = body["stop"][0]
            self.answer(found if count > 1 else found[0])

    def answer(self, document: Any, status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def completion(text: str, index: int) -> dict[str, Any]:
    return {
        "content": text,
        "stop_type": "limit" if index == 1 else "word",
        "tokens_evaluated": 100,
        "tokens_predicted": 3,
        "timings": {"cache_n": 60, "prompt_n": 40},
    }


def main(way: str = "") -> None:
    settings = json.loads(sys.stdin.readline())
    if way == "refuse":
        print(json.dumps({"error": "unknown architecture"}), flush=True)
    elif way == "die":
        os.write(2, b"out of memory\n")
        os._exit(9)
    elif way == "garbage":
        print("ready!", flush=True)
    elif way == "environment":
        print(json.dumps({"error": " ".join(sorted(os.environ))}), flush=True)
    else:
        Handler.key = settings["key"]
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        print(json.dumps({"address": address}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
