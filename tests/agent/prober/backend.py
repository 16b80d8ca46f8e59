"""Pools' servers for tests, run inside a machine: NAME:PORT or NAME:ADDRESS:PORT each.

A file BROKEN.NAME makes /healthz answer 500; `?slow=SECONDS` is answered in two parts.
"""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path("/tmp")


def handler(name: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            broken = self.path == "/healthz" and (FOLDER / f"BROKEN.{name}").exists()
            body = name.encode()
            self.send_response(500 if broken else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if "?slow=" in self.path:
                self.wfile.flush()
                time.sleep(float(self.path.rpartition("=")[2]))
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    for word in sys.argv[1:]:
        name, *address, port = word.split(":")
        server = Server((address[0] if address else "127.0.0.1", int(port)), handler(name))
        threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
