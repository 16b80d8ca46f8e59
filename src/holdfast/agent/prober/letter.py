"""The mail about servers that went down or came back: who found what, when and why. Pure."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from holdfast.agent.pool_servers import spoken_at
from holdfast.agent.prober.outbox import Batch, Change
from holdfast.bundle import ServerMail

_WORDS_AT_MOST = 300  # characters of an answer


def letter(mail: ServerMail, batch: Batch, now: datetime) -> EmailMessage:
    """One mail for all changes of `batch`, which has one at least."""
    message = EmailMessage()
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.recipients)
    message["Subject"] = _subject(mail, batch)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=mail.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notices in answer
    message.set_content(_text(mail, batch))
    return message


def _subject(mail: ServerMail, batch: Batch) -> str:
    if len(batch.changes) == 1:
        change = batch.changes[0]
        what = f"{spoken_at(change.server, change.endpoint)} of pool {change.pool} is {_state(change)}"
    else:
        ends = {(change.pool, change.endpoint): change for change in batch.changes}
        down = [change for change in ends.values() if not change.up]
        up = len(ends) - len(down)
        counts = [f"{len(down)} down" if down else "", f"{up} back up" if up else ""]
        pools = sorted({change.pool for change in ends.values()})
        where = f"pool {pools[0]}" if len(pools) == 1 else f"{len(pools)} pools"
        what = f"servers of {where}: {', '.join(filter(None, counts))}"
    return f"[{mail.cluster}] {what} (seen by {mail.node})"


def _text(mail: ServerMail, batch: Batch) -> str:
    lines = [f"cluster: {mail.cluster}", f"node:    {mail.node}", ""]
    if batch.left_out:
        lines += [f"{batch.left_out} earlier changes were too many to be kept.", ""]
    for change in batch.changes:
        lines += [*_told(change), ""]
    lines += ["Other nodes ask for themselves. How things are now on this one:", "holdfast-agent status"]
    return "\n".join(lines) + "\n"


def _told(change: Change) -> list[str]:
    use = "nginx sends it requests" if change.in_use else "nginx sends it no requests"
    name = spoken_at(change.server, change.endpoint)
    where = f"{name} ({change.endpoint})" if name != change.endpoint else name
    if not change.up and change.in_use:
        use = "nginx goes on sending it requests: too few others are up"
    return [
        f"{where} of pool {change.pool} is {_state(change).upper()}",
        f"  since: {change.at}",
        f"  why:   {_printable(change.why)}",
        f"  use:   {use}",
        f"  pool:  {change.up_count} of {change.servers} servers are up",
    ]


def _state(change: Change) -> str:
    return "up" if change.up else "down"


def _printable(text: str) -> str:
    """What a server answered is in it: no line of a mail may be made of that."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_WORDS_AT_MOST])
