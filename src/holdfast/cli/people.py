"""`holdfast users` and `holdfast tokens`: who may do what."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.protocol.api.people import RoleWord, TokenRequest, UserChangeRequest, UserRequest

from .output import listing, print_json, stdout, went_well
from .remote import ControllerOption, connect
from .secret_files import SecretFile
from .validate import AsJson

users = typer.Typer(help="Users: listed, added, changed, removed; each change is audited.", no_args_is_help=True)
tokens = typer.Typer(help="API tokens for programs: listed, added, revoked.", no_args_is_help=True)


class Role(StrEnum):
    """What somebody may do, each more than the one before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class TokenScope(StrEnum):
    """What a token may only do if it is said when it is made."""

    USERS = "users"


UserName = Annotated[str, typer.Argument(metavar="NAME")]
Only = Annotated[list[str], typer.Option("--only", metavar="CLUSTER", help="For this cluster alone. Repeatable.")]


@users.command("list")
def list_users(controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """All users.

    Example:  holdfast users list
    """
    found = connect(controller).controller.users()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    table = listing("name", "role", "clusters", "password changed", "")
    for one in found.users:
        notes = [word for word, so in (("disabled", one.disabled), ("must change it", one.must_change)) if so]
        changed = one.password_changed.astimezone().strftime("%Y-%m-%d")
        table.add_row(one.name, one.role, _limits(one.clusters), changed, ", ".join(notes))
    stdout().print(table)


@users.command("add")
def add_user(
    name: UserName,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.VIEWER,
    only: Only = [],  # noqa: B006  (Typer reads it, nobody writes to it)
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """A new user; the password is shown this once, and has to be changed at the first login.

    Example:  holdfast users add ada --role operator
    """
    asked = UserRequest(name=name, role=_word(role), clusters=tuple(only) or None)
    found = connect(controller).controller.add_user(asked)
    _once(found.name, found.password, as_json=as_json)


@users.command("change")
def change_user(
    name: UserName,
    role: Annotated[Role | None, typer.Option(help="What they may do.")] = None,
    only: Only = [],  # noqa: B006
    everywhere: Annotated[bool, typer.Option("--everywhere", help="For all clusters.")] = False,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable", help="Whether they may log in.")] = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Another role, other clusters, disabled or not: in force with the user's next request.

    Example:  holdfast users change ada --role admin
    """
    asked = UserChangeRequest(
        role=_word(role) if role else None, clusters=tuple(only) or None, unlimited=everywhere, disabled=disabled
    )
    found = connect(controller).controller.change_user(name, asked)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        stdout().print(went_well(f"{found.name}: {found.role}, {_limits(found.clusters)}"))


@users.command("remove")
def remove_user(name: UserName, controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """Forget a user; their sessions and tokens end at once.

    Example:  holdfast users remove ada
    """
    connect(controller).controller.remove_user(name)
    _done(f"{name} is gone", as_json=as_json)


@users.command("reset-password")
def reset_password(name: UserName, controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """A one-time password for somebody who forgot theirs; all of their sessions end.

    Example:  holdfast users reset-password ada
    """
    found = connect(controller).controller.reset_password(name)
    _once(found.name, found.password, as_json=as_json)


@tokens.command("list")
def list_tokens(controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """One's own API tokens, or everybody's for an administrator.

    Example:  holdfast tokens list
    """
    found = connect(controller).controller.tokens()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    table = listing("begins with", "name", "owner", "role", "clusters", "until")
    for one in found.tokens:
        until = "revoked" if one.revoked else one.expires.astimezone().strftime("%Y-%m-%d")
        role = " ".join((one.role, *(f"+{scope}" for scope in one.scopes)))
        table.add_row(one.prefix, Text(one.name), one.owner, role, _limits(one.clusters), until)
    stdout().print(table)


@tokens.command("add")
def add_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    role: Annotated[Role, typer.Option(help="Never more than you may yourself.")] = Role.VIEWER,
    days: Annotated[float, typer.Option(metavar="N", min=0.001, max=366, help="How long it is good for.")] = 30,
    only: Only = [],  # noqa: B006
    scope: Annotated[
        list[TokenScope], typer.Option(help="What a token may do only if it is said: see, disable and remove users.")
    ] = [],  # noqa: B006
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Written there, mode 0600, and not shown.")
    ] = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """A new API token, shown this once.

    Example:  holdfast tokens add deploy --role operator --days 90
    """
    scopes = ("users",) if scope else ()
    asked = TokenRequest(name=name, role=_word(role), days=days, clusters=tuple(only) or None, scopes=scopes)
    if to is not None:
        _token_to(to, asked, controller, as_json=as_json)
        return
    found = connect(controller).controller.add_token(asked)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    stdout().print(went_well(f"until {found.expires.astimezone():%Y-%m-%d}; it is shown this once:"))
    stdout().out(found.token, highlight=False)


def _token_to(path: Path, asked: TokenRequest, controller: str | None, *, as_json: bool) -> None:
    file = SecretFile(path)
    try:
        found = connect(controller).controller.add_token(asked)
        file.write(found.token)
    finally:
        file.close()
    if as_json:
        print_json(found.model_dump(mode="json", exclude={"token"}) | {"file": str(path)})
    else:
        stdout().print(went_well(f"in {path}, until {found.expires.astimezone():%Y-%m-%d}"), soft_wrap=True)


@tokens.command("revoke")
def revoke_token(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="How it begins: hfa_ and eight letters.")],
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """End an API token, at once.

    Example:  holdfast tokens revoke hfa_abcdefgh
    """
    connect(controller).controller.revoke_token(prefix)
    _done(f"{prefix} is revoked", as_json=as_json)


def _once(name: str, password: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, "name": name, "password": password})
        return
    stdout().print(went_well(f"{name}; the password is shown this once, and has to be changed at the first login:"))
    stdout().out(password, highlight=False)


def _done(said: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True})
    else:
        stdout().print(went_well(f"{said}"))


def _word(role: Role) -> RoleWord:
    return role.value


def _limits(clusters: Sequence[str] | None) -> str:
    return "all" if clusters is None else ", ".join(clusters) or "none"
