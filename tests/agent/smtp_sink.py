"""A small SMTP server (RFC 5321) that keeps what it is sent; as a program, one JSON file a mail: PORT FOLDER."""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from dataclasses import asdict, dataclass, field
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import cast


@dataclass
class Mail:
    """One mail as its envelope and its text say."""

    helo: str
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    text: str = ""

    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_string(self.text, policy=default))


class Handler(socketserver.StreamRequestHandler):
    """`server` is the Sink."""

    timeout = 20.0

    def handle(self) -> None:
        sink = cast(Sink, self.server)
        if sink.silent:
            sink.ended.wait(60)
            return
        mail = Mail("")
        self.say(sink.greeting)
        while line := self.rfile.readline(2000):
            word, _, rest = line.decode("ascii").rstrip("\r\n").partition(" ")
            match word.upper():
                case "HELO" | "EHLO":
                    mail = Mail(rest)
                    self.say("250-sink" if word.upper() == "EHLO" else "")
                    self.say("250 SIZE 1000000")
                case "MAIL":
                    mail.sender = rest.partition("<")[2].partition(">")[0]
                    self.say("250 ok")
                case "RCPT":
                    refused = sink.refusals.get(rest.partition("<")[2].partition(">")[0], "")
                    if not refused:
                        mail.recipients.append(rest.partition("<")[2].partition(">")[0])
                    self.say(refused or "250 ok")
                case "DATA":
                    self.say("354 go on")
                    mail.text = self.data()
                    sink.take(mail)
                    self.say("250 ok")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def data(self) -> str:
        lines = []
        while (line := self.rfile.readline(10_000)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".").decode("utf-8"))
        return "".join(lines).replace("\r\n", "\n")

    def say(self, answer: str) -> None:
        if answer:
            self.wfile.write(answer.encode() + b"\r\n")


class Sink(socketserver.ThreadingTCPServer):
    """Use as a context: it listens on `port` of the loopback, and has what came in `mails`."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0, folder: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.mails: list[Mail] = []
        self.greeting = "220 sink"
        self.refusals: dict[str, str] = {}  # by recipient, what it is answered
        self.silent = False
        self.ended = threading.Event()
        self._folder = folder
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def take(self, mail: Mail) -> None:
        self.mails.append(mail)
        if self._folder:
            part = self._folder / f"{len(self.mails)}.part"
            part.write_text(json.dumps(asdict(mail)))
            part.rename(part.with_suffix(".json"))

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()


def kept(folder: Path) -> list[Mail]:
    """What a sink that runs as a program was sent so far, in order."""
    files = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
    return [Mail(**json.loads(path.read_text())) for path in files]


def main() -> None:
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with Sink(int(sys.argv[1]), folder) as sink:
        sink.silent = len(sys.argv) > 3
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
