"""`holdfast authority list|rotate|withdraw`: the certificate authority that nodes and people pin."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.errors import UsageError
from holdfast.protocol.api.authorities import AuthorityList

from .apply import YesOption, confirm
from .output import listing, print_json, stdout, went_well
from .remote import ControllerOption, connect
from .validate import AsJson

app = typer.Typer(
    help="The certificate authority: looked at, followed by another one, the old one withdrawn.", no_args_is_help=True
)

_SHORTEST = 8  # digits of a fingerprint that name one


@app.command("list")
def list_(controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """The authorities that are trusted, and how many nodes come with certificates of each.

    Example:  holdfast authority list
    """
    _show(connect(controller).controller.authorities(), as_json=as_json)


@app.command("rotate")
def rotate(yes: YesOption = False, controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """Let another authority sign from now on; the old ones stay trusted until they are withdrawn.

    Nobody is cut off: the old one vouches for the new one, and each node goes over when it renews its certificate.

    Example:  holdfast authority rotate
    """
    remote = connect(controller)
    if not yes:
        confirm("let another certificate authority sign from now on?")
    _show(remote.controller.rotate_authority(), as_json=as_json)


@app.command("withdraw")
def withdraw(
    fingerprint: Annotated[str, typer.Argument(metavar="FINGERPRINT", help="Or how it begins, 8 digits at least.")],
    force: Annotated[bool, typer.Option("--force", help="Even while nodes come with its certificates.")] = False,
    yes: YesOption = False,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Trust an old authority no more. Whoever pinned it has to log in, or join, again.

    Refused while nodes come with its certificates.

    Example:  holdfast authority withdraw 5f0c2a91
    """
    remote = connect(controller)
    whole = _whole(remote.controller.authorities(), fingerprint)
    if not yes:
        confirm(f"trust the certificate authority {whole[:16]}… no more?")
    remote.controller.withdraw_authority(whole, force=force)
    if as_json:
        print_json({"ok": True, "fingerprint": whole})
    else:
        stdout().print(went_well(f"{whole[:16]}… is trusted no more"))


def _whole(known: AuthorityList, text: str) -> str:
    wanted = text.lower().replace(":", "")
    found = [one.fingerprint for one in known.authorities if one.fingerprint.startswith(wanted)]
    if len(wanted) < _SHORTEST or len(found) != 1:
        listed = ", ".join(one.fingerprint[:16] for one in known.authorities)
        raise UsageError(f"'{text[:80]}' is the beginning of no authority's fingerprint", f"there are: {listed}")
    return found[0]


def _show(found: AuthorityList, *, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    table = listing("fingerprint", "since", "until", "nodes", "")
    for one in found.authorities:
        days = (f"{moment.astimezone():%Y-%m-%d}" for moment in (one.created, one.expires))
        table.add_row(one.fingerprint, *days, str(one.nodes), "signs" if one.signs else "to be withdrawn")
    stdout().print(table)
    for one in found.authorities:
        if not one.signs and one.some:
            more = f" and {one.nodes - len(one.some)} more" if one.nodes > len(one.some) else ""
            stdout().print(f"still of {one.fingerprint[:16]}…: {', '.join(one.some)}{more}", markup=False)
