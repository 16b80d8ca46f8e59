"""Sends the mail about servers from a thread of its own, so that a mail server that hangs delays nothing else."""

from __future__ import annotations

import contextlib
import logging
import smtplib
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage

from holdfast.agent.prober.letter import letter
from holdfast.agent.prober.outbox import Batch, Change, Outbox, added, delivered, due, failed, retry_after, taken
from holdfast.bundle import ServerMail

_LOG = logging.getLogger(__name__)
_STEP_S = 10.0  # each step of the conversation with the mail server
_WHOLE_S = 60.0  # all of it
_LAST_S = 2.0  # for what waits when the prober ends; after 5 the supervisor would kill it


class MailFailed(Exception):
    """A mail server took nothing; `for_ever` where it said that it never will. Goes no further than the log."""

    def __init__(self, message: str, for_ever: bool) -> None:
        super().__init__(message)
        self.message, self.for_ever = message, for_ever


def deliver(mail: ServerMail, message: EmailMessage) -> None:
    """Hand `message` over, within _WHOLE_S or so; raises MailFailed."""
    client = smtplib.SMTP(local_hostname=mail.node, timeout=_STEP_S)
    watchdog = threading.Timer(_WHOLE_S, _cut, (client,))  # a timeout for each step alone never ends a slow drip
    watchdog.daemon = True
    watchdog.start()
    try:
        code, greeting = client.connect(mail.host, mail.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, greeting)
        refused = client.send_message(message, mail.sender, mail.recipients)
        for recipient, answer in refused.items():
            _LOG.error("the mail server refuses mail to %s: %s", recipient, _answer(*answer))
        with contextlib.suppress(OSError):  # it took the mail: how it says goodbye is of no interest
            client.quit()
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        for_ever = all(answer[0] >= 500 for answer in error.recipients.values())
        raise MailFailed(f"it refuses every recipient: {_answer(code, text)}", for_ever) from error
    except smtplib.SMTPResponseException as error:
        raise MailFailed(f"it says {_answer(error.smtp_code, error.smtp_error)}", error.smtp_code >= 500) from error
    except OSError as error:
        raise MailFailed(_in_words(error), False) from error
    except UnicodeError as error:  # a host name that DNS cannot carry: `a..b`
        raise MailFailed(f"'{mail.host}' is no host name", True) from error
    finally:
        watchdog.cancel()
        client.close()


def _cut(client: smtplib.SMTP) -> None:
    if (connection := client.sock) is not None:
        with contextlib.suppress(OSError):  # closed meanwhile
            connection.shutdown(socket.SHUT_RDWR)


def _answer(code: int, text: bytes | str) -> str:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(said.split())}"[:200]


def _in_words(error: OSError) -> str:
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):  # smtplib wraps some
        return "it does not answer in time"
    return " ".join((error.strerror or str(error)).split()).lower()[:200]


class Mailer:
    """`tell` and `address` return at once; `stop` may take _LAST_S seconds where something waits."""

    def __init__(
        self,
        send: Callable[[ServerMail, EmailMessage], None] = deliver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send, self._clock = send, clock
        self._mail: ServerMail | None = None
        self._box = Outbox()
        self._on_its_way = 0  # changes
        self._stopping = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def address(self, mail: ServerMail | None) -> None:
        """Where mail goes from now on; None: nowhere."""
        with self._changed:
            self._mail = mail
            if mail is None:
                self._box = Outbox()

    def tell(self, change: Change) -> None:
        """Put it into the next mail, if such changes are told."""
        with self._changed:
            if self._mail is None or not (self._mail.up if change.up else self._mail.down):
                return
            self._box = added(self._box, change, self._clock())
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="mail", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Send what waits, if that is quick."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_LAST_S)
        with self._changed:
            untold = len(self._box.waiting.changes) + self._on_its_way
        if untold:
            _LOG.error("ends without having told of %d change(s) of servers by mail", untold)

    def _work(self) -> None:
        while True:  # ends: when it is stopped
            with self._changed:
                while not self._ready():
                    if self._stopping:
                        return
                    moment = due(self._box)
                    self._changed.wait(None if moment is None else max(0.0, moment - self._clock()))
                mail = self._mail
                batch, self._box = taken(self._box)
                self._on_its_way = len(batch.changes) if mail else 0
            if mail is not None:
                self._try(mail, batch)

    def _ready(self) -> bool:
        moment = due(self._box)
        if moment is None:
            return False
        return moment <= self._clock() or (self._stopping and self._box.failures == 0)

    def _try(self, mail: ServerMail, batch: Batch) -> None:
        about, to = f"{len(batch.changes)} change(s) of servers", ", ".join(mail.recipients)
        try:
            self._send(mail, letter(mail, batch, datetime.now(UTC)))
        except MailFailed as error:
            again = self._came_back(batch, error.for_ever)
            server = f"{mail.host} port {mail.port}"
            _LOG.error("mail about %s to %s did not go through %s: %s; %s", about, to, server, error.message, again)
            return
        with self._changed:
            self._on_its_way = 0
            self._box = delivered(self._box, self._clock())
        _LOG.info("mail about %s sent to %s", about, to)

    def _came_back(self, batch: Batch, for_ever: bool) -> str:
        """What becomes of a batch that the mail server did not take, in words."""
        with self._changed:
            self._on_its_way = 0
            if self._mail is None:
                return "nobody is to be told any more"
            if for_ever:
                self._box = delivered(self._box, self._clock())
                return "it is not tried again"
            wait_s = retry_after(self._box.failures)
            self._box = failed(self._box, batch, self._clock())
            return f"it is tried again in {wait_s:g} s"
