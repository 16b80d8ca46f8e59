"""Whom a client trusts: the authority that was pinned at login, or whatever the machine trusts."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl

import httpx

from holdfast.errors import AuthorityChanged, ControllerUnreachable, UsageError

_LARGEST = 100_000  # bytes of a certificate


def context_for(authority: str) -> ssl.SSLContext:
    """TLS that trusts `authority` (PEM) alone; without one, the machine's own authorities."""
    if not authority:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the host's name
        try:
            context.load_verify_locations(cadata=authority)
        except ssl.SSLError:
            raise UsageError(
                "the pinned certificate authority cannot be used", "log in again: holdfast login"
            ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def shown_authority(url: str, timeout_s: float = 10.0) -> str:
    """The authority (PEM) that a controller says is its own, over a connection that proves nothing.

    Nothing secret is sent. It counts once its fingerprint was compared.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with httpx.Client(verify=context, timeout=timeout_s, trust_env=False) as client:
            answer = client.get(f"{url}/agent/v1/authority")
    except httpx.HTTPError as error:
        raise ControllerUnreachable(f"{url} cannot be reached: {reason(error)}", "check the address") from None
    if answer.status_code != 200 or len(answer.content) > _LARGEST or "BEGIN CERTIFICATE" not in answer.text:
        raise ControllerUnreachable(f"{url} is no controller of Holdfast", "check the address and the port")
    return answer.text


def fingerprint_of(authority: str) -> str:
    """SHA-256 of a certificate (PEM), in hexadecimal digits."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(authority.strip())).hexdigest()
    except ValueError:
        raise UsageError("this is no certificate", "check the address of the controller") from None


def compared(authority: str, fingerprint: str) -> None:
    """AuthorityChanged unless the authority has this fingerprint, with or without colons, in either case."""
    wanted = re.sub(r"[^0-9a-f]", "", fingerprint.lower().removeprefix("sha256"))
    told = fingerprint_of(authority)
    if not hmac.compare_digest(told, wanted):
        raise AuthorityChanged(
            f"the controller shows the certificate authority {told[:16]}…, and {wanted[:16]}… is expected",
            "somebody may be in between; compare it with what `holdfast serve` printed",
        )


def reason(error: httpx.HTTPError) -> str:
    """What went wrong with a connection, in few words."""
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
