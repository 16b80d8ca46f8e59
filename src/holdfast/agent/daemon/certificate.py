"""Looks at the certificate and renews it, in a process of its own: `python -m holdfast.agent.daemon.certificate`.

    look PATH               prints a Standing as JSON; null where this node has not joined
    renew PATH URL…         renews it at the first of these controllers that answers, then prints the same

Exit status 1, with {"error": {"message", "hint"}}, where that cannot be done.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from holdfast.agent.credentials import Standing
from holdfast.agent.daemon.enroller import HttpsEnrolment
from holdfast.agent.enrolment import Identity, read_identity, renew
from holdfast.errors import EnrolmentRefused, HoldfastError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """See above."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        match words:
            case ["look", path]:
                identity = read_identity(Path(path))
            case ["renew", path, *urls] if urls:
                identity = renewed(Path(path), urls)
            case _:
                raise UsageError("say what: look PATH, or renew PATH URL…")
    except HoldfastError as error:
        sys.stdout.write(json.dumps({"error": {"message": error.message, "hint": error.hint}}))
        return 1
    sys.stdout.write("null" if identity is None else standing(identity).model_dump_json())
    return 0


def renewed(path: Path, urls: Sequence[str]) -> Identity:
    """The node's next identity, which is in `path` then. Errors as of `renew`."""
    identity = read_identity(path)
    if identity is None:
        raise EnrolmentRefused("this node has not joined a cluster", "holdfast agent join TOKEN --controller URL")
    return asyncio.run(renew(identity, HttpsEnrolment(urls), path, datetime.now(UTC)))


def standing(identity: Identity) -> Standing:
    """What the daemon has to know of it."""
    return Standing(
        cluster=identity.cluster,
        node=identity.node,
        begins=identity.certificate.not_valid_before_utc,
        expires=identity.expires,
    )


if __name__ == "__main__":
    sys.exit(main())
