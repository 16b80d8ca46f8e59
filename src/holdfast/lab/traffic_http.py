"""One HTTP/1.1 answer read piece by piece: enough to know when it is whole, what it said and who gave it."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_HEAD_BYTES = 64_000
_END_OF_HEAD = b"\r\n\r\n"


class MalformedError(Exception):
    """What came is not an HTTP answer; internal to the traffic client, which records it as an error kind."""


@dataclass
class Answer:
    """Feed it bytes until `complete`. `origin` is the server's own name out of the X-Origin header, if it gave one."""

    status: int = 0
    origin: str = ""
    keep_alive: bool = False
    began: bool = False
    complete: bool = False
    _buffer: bytes = b""
    _left: int | None = None  # bytes of the body (or of the chunk, with its line end) still to come
    _chunked: bool = False
    _headers: dict[str, str] = field(default_factory=dict)

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True once the answer is whole. Raises MalformedError."""
        self.began = self.began or bool(data)
        self._buffer += data
        while not self.complete and self._step():
            pass
        return self.complete

    def end(self) -> bool:
        """The connection was closed; True if that makes the answer whole (a body without a stated length)."""
        self.complete = self.complete or bool(self.status and self._left is None and not self._chunked)
        self.keep_alive = False
        return self.complete

    def _step(self) -> bool:
        """Use up some of the buffer; False when more is needed first."""
        if not self.status:
            return self._head()
        if self._left is not None:
            return self._body()
        if self._chunked:
            return self._chunk_size()
        self._buffer = b""
        return False

    def _head(self) -> bool:
        head, found, rest = self._buffer.partition(_END_OF_HEAD)
        if not found:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise MalformedError("the head of the answer is too long")
            return False
        self._buffer = rest
        lines = head.decode("latin-1").split("\r\n")
        version, _, status = lines[0].partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdigit():
            raise MalformedError(f"not an answer: {lines[0][:60]!r}")
        if status[0] == "1":  # 100 Continue and 103 Early Hints come before the answer itself
            return True
        self._read_headers(lines[1:])
        self.status = int(status[:3])
        connection = self._headers.get("connection", "").lower()
        self.keep_alive = version == "HTTP/1.1" and connection != "close"
        self._frame_body()
        return True

    def _read_headers(self, lines: list[str]) -> None:
        for line in lines:
            name, _, value = line.partition(":")
            self._headers[name.strip().lower()] = value.strip()
        self.origin = self._headers.get("x-origin", "")

    def _frame_body(self) -> None:
        """RFC 9112, 6.3: no body, chunked, a stated length, or until the connection ends."""
        length = self._headers.get("content-length", "")
        if self.status in (204, 304):
            self.complete = True
        elif "chunked" in self._headers.get("transfer-encoding", "").lower():
            self._chunked = True
        elif length:
            if not length.isdigit():
                raise MalformedError(f"Content-Length is {length[:40]!r}")
            self._left = int(length)
            self.complete = self._left == 0

    def _body(self) -> bool:
        assert self._left is not None
        taken = min(self._left, len(self._buffer))
        self._left -= taken
        self._buffer = self._buffer[taken:]
        if self._left:
            return False
        if self._chunked:
            self._left = None
            return True
        self.complete = True
        return False

    def _chunk_size(self) -> bool:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            if len(self._buffer) > 200:
                raise MalformedError("a chunk without a size")
            return False
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            raise MalformedError(f"a chunk of size {line[:20]!r}") from None
        if size:
            self._left = size + 2
            self._buffer = rest
            return True
        # The last chunk: trailers, if any, up to an empty line.
        if rest.startswith(b"\r\n") or _END_OF_HEAD in rest:
            self.complete = True
        return False
