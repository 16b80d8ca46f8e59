"""What is wrong with a spec while somebody writes it: as often as they pause, and without holding anybody else up."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from holdfast.compile.lock import Lock, Secrets
from holdfast.errors import CompileError, Conflict, SpecError
from holdfast.findings import Finding, Severity
from holdfast.protocol.api.lints import MOST_FINDINGS, LintRequest, LintView
from holdfast.sentences import Sentence, as_data, from_data
from holdfast.store.revisions import digest_of

from ..turns import Turns
from .compiling import UNKNOWN_SECRET, Choices, choices_of, compiled, placeholder
from .desk import Desk, known_cluster

_log = logging.getLogger(__name__)
_SMALL = 20_000  # characters of a spec that is checked within a second; larger ones are checked by another process
_WITHIN_S = 60.0
_ENVIRONMENT: Mapping[str, str] = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
_GONE_WITHIN_S = 10.0


@dataclass(frozen=True)
class Found:
    """What is told of a spec, mistakes first, and how many findings there are in all."""

    findings: tuple[Finding, ...] = ()
    count: int = 0


_FOUND = TypeAdapter(Found)


async def check(desk: Desk, turns: Turns, cluster: str, request: LintRequest) -> LintView:
    """All that is to be said of a spec. Nothing is written, no secret is read from what was sealed.

    Conflict if the same person has sent a newer one for the same cluster meanwhile.
    """
    await known_cluster(desk.store, cluster)
    choices = nameless(await choices_of(desk, cluster))
    async with turns.turn(f"{desk.actor} checking {cluster}") as newer:
        if len(request.spec) <= _SMALL:
            found: Found | None = told_of(
                await asyncio.to_thread(findings_of, request.spec, request.file, cluster, choices, desk.process_events)
            )
        else:
            found = await _apart(document_of(request, cluster, choices, desk.process_events), newer)
    told = found or Found()
    return LintView(
        cluster=cluster,
        digest=digest_of(request.spec),
        findings=told.findings,
        left_out=told.count - len(told.findings),
        complete=found is not None,
    )


def told_of(findings: Sequence[Finding]) -> Found:
    """As many findings as are told: no remark keeps a mistake out."""
    ordered = sorted(findings, key=lambda one: one.severity is not Severity.ERROR)
    return Found(tuple(ordered[:MOST_FINDINGS]), len(findings))


def nameless(choices: Choices) -> Choices:
    """The same choices with no secret in them: what is said of a spec does not depend on any."""
    secrets = choices.secrets
    return Choices(
        choices.lock,
        Secrets.model_construct(
            holdfast_secrets=1,
            cluster=secrets.cluster,
            vrrp=dict.fromkeys(secrets.vrrp, UNKNOWN_SECRET),
            origin=dict.fromkeys(secrets.origin, UNKNOWN_SECRET),
        ),
        choices.version,
    )


def findings_of(text: str, file: str, cluster: str, choices: Choices, process_events: bool) -> tuple[Finding, ...]:
    """What a spec's reader, its compiler and lint say of it, errors included. Pure; takes CPU time."""
    try:
        return compiled(text, file, cluster, choices, new_secret=placeholder, process_events=process_events).findings
    except (SpecError, CompileError) as error:
        said = Finding(code="SPEC100", severity=Severity.ERROR, message=error.message, hint=error.hint)
        return tuple(error.findings) or (said,)


def document_of(request: LintRequest, cluster: str, choices: Choices, process_events: bool) -> bytes:
    """What another process needs to check a spec."""
    told = {
        "spec": request.spec,
        "file": request.file,
        "cluster": cluster,
        "lock": choices.lock.model_dump(mode="json"),
        "vrrp": sorted(choices.secrets.vrrp),
        "origin": sorted(choices.secrets.origin),
        "process_events": process_events,
    }
    return json.dumps(told).encode()


def answer_of(document: bytes) -> bytes:
    """What that process answers."""
    told = json.loads(document)
    secrets = Secrets.model_construct(
        holdfast_secrets=1,
        cluster=told["cluster"],
        vrrp=dict.fromkeys(told["vrrp"], UNKNOWN_SECRET),
        origin=dict.fromkeys(told["origin"], UNKNOWN_SECRET),
    )
    choices = Choices(Lock.model_validate(told["lock"]), secrets)
    found = findings_of(told["spec"], told["file"], told["cluster"], choices, told["process_events"])
    told_of_it = told_of(found)
    said = [[_as_data(one.message), _as_data(one.hint)] for one in told_of_it.findings]
    return json.dumps({"found": _FOUND.dump_python(told_of_it, mode="json"), "said": said}).encode()


def _as_data(text: str) -> Any:
    return as_data(text) if isinstance(text, Sentence) else None


def found_of(answer: bytes) -> Found:
    """What `answer_of` says, with its sentences; ValidationError or ValueError for anything else."""
    told = json.loads(answer)
    found = _FOUND.validate_python(told["found"])
    sentences = [(from_data(message), from_data(hint)) for message, hint in told["said"]]
    findings = [
        one.model_copy(update={"message": message or one.message, "hint": hint or one.hint})
        for one, (message, hint) in zip(found.findings, sentences, strict=True)
    ]
    return Found(tuple(findings), found.count)


async def _apart(document: bytes, newer: asyncio.Event) -> Found | None:
    """Checked by a process of its own, ended when it takes too long (None) or something newer is asked (Conflict)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holdfast.controller.operations.checking_apart",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=dict(_ENVIRONMENT), cwd="/",
    )  # fmt: skip
    answering = asyncio.ensure_future(process.communicate(document))
    superseded = asyncio.ensure_future(newer.wait())
    try:
        await asyncio.wait({answering, superseded}, timeout=_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            if newer.is_set():
                raise Conflict("this was asked for again meanwhile", "look at the newer answer")
            return None
        told, _ = answering.result()
    finally:
        superseded.cancel()
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(_GONE_WITHIN_S):
            await asyncio.wait({answering})
    if process.returncode != 0:
        _log.warning("a spec of %s bytes could not be checked: exit status %s", len(document), process.returncode)
        return None
    try:
        return found_of(told)
    except (ValidationError, ValueError, KeyError, TypeError):
        _log.warning("a spec of %s bytes could not be checked: its findings cannot be read", len(document))
        return None
