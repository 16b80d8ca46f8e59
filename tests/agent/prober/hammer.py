"""New connections, one after the other, until its input ends; then it says which failed, and who answered."""

from __future__ import annotations

import collections
import json
import socket
import sys
import threading
import time

ended = threading.Event()


def wait_for_end() -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    address, port = sys.argv[1], int(sys.argv[2])
    path = sys.argv[3] if len(sys.argv) > 3 else "/"
    threading.Thread(target=wait_for_end, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    answers: list[tuple[float, str]] = []
    failed: list[str] = []
    while not ended.is_set():
        try:
            with socket.create_connection((address, port), 5) as connection:
                connection.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = b""
                while received := connection.recv(65536):
                    answer += received
            head, _, body = answer.partition(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                failed.append(head.decode(errors="replace")[:100])
            answers.append((time.time(), body.decode(errors="replace")))
        except OSError as error:
            failed.append(str(error))
        time.sleep(0.01)
    last = {name: max(when for when, who in answers if who == name) for name in {who for _, who in answers}}
    counts = collections.Counter(who for _, who in answers)
    sys.stdout.write(json.dumps({"sent": len(answers) + len(failed), "failed": failed, "counts": counts, "last": last}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
