"""The certificate authority replaced: another one beside it, nodes go over, the old one is withdrawn."""

from __future__ import annotations

from holdfast.errors import PlanRefused
from holdfast.protocol.api.authorities import AuthorityList, AuthorityView
from holdfast.sentences import Sentence

from ..identity import Doors, Person

_SOME = 100
_NAMED = 5


async def authorities(doors: Doors) -> AuthorityList:
    """All that are trusted, and the nodes that come with a certificate of each."""
    await doors.authorities.refresh()
    nodes = await doors.enrolment.nodes_of_authorities()
    signing = doors.authorities.current.fingerprint
    return AuthorityList(
        authorities=tuple(
            AuthorityView(
                fingerprint=one.fingerprint,
                created=one.created,
                expires=one.expires,
                signs=one.fingerprint == signing,
                nodes=len(nodes.get(one.fingerprint, ())),
                some=tuple(f"{cluster}/{node}" for cluster, node in nodes.get(one.fingerprint, ())[:_SOME]),
            )
            for one in doors.authorities.records
        )
    )


async def rotate(doors: Doors, who: Person, source: str) -> AuthorityList:
    """Another authority signs from now on; the old ones are trusted until they are withdrawn."""
    await doors.authorities.rotate(who, source)
    return await authorities(doors)


async def withdraw(doors: Doors, who: Person, fingerprint: str, source: str, *, force: bool = False) -> None:
    """Trust an old authority no more; PlanRefused while nodes come with its certificates, unless it is forced."""
    users = (await doors.enrolment.nodes_of_authorities()).get(fingerprint, [])
    if users and not force and fingerprint != doors.authorities.current.fingerprint:
        named = ", ".join(f"{cluster}/{node}" for cluster, node in users[:_NAMED])
        more = Sentence(" and %(n)s more", n=len(users) - _NAMED) if len(users) > _NAMED else ""
        raise PlanRefused(
            Sentence(
                "nodes come with certificates of this authority, and would be shut out: %(named)s%(more)s",
                named=named,
                more=more,
            ),
            "each goes over when it renews its certificate, within three weeks, or at once with a new join token; "
            "or say --force",
        )
    await doors.authorities.withdraw(who, fingerprint, source)
