"""`holdfast login URL`, `holdfast logout`: who one is to a controller, kept in a file of one's own."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from holdfast.client.controller import Controller
from holdfast.client.profile import Profile, profile_path, read_profile, write_profile
from holdfast.client.trust import compared, fingerprint_of, shown_authority
from holdfast.client.wire import Wire
from holdfast.errors import UsageError
from holdfast.protocol.api.people import LoginRequest, PasswordRequest, SessionView

from .output import print_json, stderr, stdout, went_well
from .remote import ControllerOption, checked_url, connect
from .secret_files import read_secret
from .validate import AsJson

SYSTEM = "system"
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="The password is its first line; mode 0600.")
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="An API token is its first line; mode 0600.")
]
NewPasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--new-password-file", metavar="FILE", help="What the password becomes where it has to be changed; mode 0600."
    ),
]


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="The controller: https://HOST:8443, several with commas.")],
    name: Annotated[str | None, typer.Option("--name", "-n", metavar="NAME", help="As whom; else it is asked.")] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            metavar="SHA256",
            help="Of its certificate authority, as `holdfast serve` printed it; `system`: trust this machine's.",
        ),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="The password is the first line of standard input.")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="An API token is the first line of standard input.")
    ] = False,
    password_file: PasswordFile = None,
    token_file: TokenFile = None,
    new_password_file: NewPasswordFile = None,
    cluster: Annotated[str, typer.Option(metavar="NAME", help="The cluster that commands are about.")] = "",
    as_json: AsJson = False,
) -> None:
    """Log in to a controller; its certificate authority is pinned, and what is kept only you can read.

    Without a terminal: --fingerprint, and the password or an API token by standard input or a file.

    Example:  holdfast login https://ctl1.example.com:8443 --name ada
    """
    if sum((password_stdin, token_stdin, password_file is not None, token_file is not None)) > 1:
        raise UsageError(
            "one secret is enough", "give one of --password-stdin, --password-file, --token-stdin, --token-file"
        )
    token = _first_line("token") if token_stdin else read_secret(token_file) if token_file else None
    given = _first_line("password") if password_stdin else read_secret(password_file) if password_file else None
    new = read_secret(new_password_file) if new_password_file else None
    urls = tuple(checked_url(one.strip() if "://" in one else f"https://{one.strip()}") for one in url.split(","))
    authority = _authority(urls[0], fingerprint)
    profile = Profile(controllers=urls, authority=authority, cluster=cluster)
    if token is not None:
        profile = profile.model_copy(update={"token": token})
        with Wire(profile) as wire:
            who = Controller(wire).session()
    else:
        asked_name = name or typer.prompt("name", err=True)
        password = given if given is not None else getpass.getpass("password: ")
        profile, who = _logged_in(profile, asked_name, password, new, ask=given is None)
    path = profile_path()
    kept = read_profile(path) if path.exists() else Profile()
    write_profile(path, profile.model_copy(update={"name": who.name, "bases": kept.bases}))
    if as_json:
        print_json({"ok": True, "name": who.name, "role": who.role, "controllers": list(urls), "profile": str(path)})
        return
    limits = f", for {', '.join(who.clusters)}" if who.clusters is not None else ""
    stdout().print(went_well(f"{who.name}, {who.role}{limits}, at {urls[0]}"), soft_wrap=True)


def _logged_in(
    profile: Profile, name: str, password: str, new: str | None, *, ask: bool
) -> tuple[Profile, SessionView]:
    """A session; whoever has to change the password does so now."""
    profile, who = _session(profile, name, password)
    if not who.must_change:
        return profile, who
    if new is None and not ask:
        hint = "give another one: --new-password-file FILE; or log in once by hand"
        raise UsageError("the password has to be changed first", hint)
    if new is None:
        stderr().print("this password is known to others: choose another one")
        new = getpass.getpass("new password: ")
        if new != getpass.getpass("again: "):
            raise UsageError("the two are not the same", "log in again")
    with Wire(profile) as wire:
        Controller(wire).change_password(PasswordRequest(old=SecretStr(password), new=SecretStr(new)))
    return _session(profile, name, new)


def _session(profile: Profile, name: str, password: str) -> tuple[Profile, SessionView]:
    bare = profile.model_copy(update={"cookies": {}, "csrf": ""})
    with Wire(bare) as wire:
        who = Controller(wire).login(LoginRequest(name=name, password=SecretStr(password)))
        cookies = {cookie.name: cookie.value or "" for cookie in wire.client.cookies.jar}
    return profile.model_copy(update={"cookies": cookies, "csrf": who.csrf}), who


def _authority(url: str, fingerprint: str | None) -> str:
    """The authority that is trusted from now on: compared with what is known of it, or looked at by somebody."""
    if fingerprint == SYSTEM:
        return ""
    shown = shown_authority(url)
    if fingerprint is not None:
        compared(shown, fingerprint)
        return shown
    pinned = read_profile(profile_path())
    if url in pinned.controllers and pinned.authority:
        compared(shown, fingerprint_of(pinned.authority))
        return shown
    told = fingerprint_of(shown)
    if not sys.stdin.isatty():
        raise UsageError("nobody vouches for this controller", f"compare, and say so: --fingerprint {told}")
    stderr().print(f"its certificate authority has the fingerprint\n  {told}", soft_wrap=True)
    if not typer.confirm("is it the one that `holdfast serve` printed?", err=True):
        raise UsageError("nothing was sent to it", "compare the fingerprints on the controller's machine")
    return shown


def _first_line(what: str) -> str:
    text = sys.stdin.readline(10_000).rstrip("\r\n")
    if not text:
        raise UsageError(f"standard input has no {what}", f"give the {what} as its first line")
    return text


def logout(controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """End the session, and forget it.

    Example:  holdfast logout
    """
    remote = connect(controller)
    if not remote.profile.token:
        remote.controller.logout()
    kept = read_profile(remote.path)
    write_profile(remote.path, kept.model_copy(update={"cookies": {}, "csrf": "", "token": ""}))
    if as_json:
        print_json({"ok": True})
    else:
        stdout().print(went_well("logged out"))
