"""What audit records call what somebody did, in words. A test fails for one that has none."""

from __future__ import annotations

from collections.abc import Mapping

from ..words import N_

DID: Mapping[str, str] = {
    "authority.make": N_("authority made"),
    "authority.rotate": N_("authority renewed"),
    "authority.withdraw": N_("old authority withdrawn"),
    "certificate.adopted": N_("certificate of before a restore taken in"),
    "certificate.newer": N_("newer certificate put in force"),
    "cluster.create": N_("cluster made"),
    "damaged.clear": N_("damaged record cleared away"),
    "group.move": N_("addresses moved"),
    "login": N_("login"),
    "logout": N_("logout"),
    "maintenance.off": N_("maintenance ended"),
    "maintenance.on": N_("maintenance begun"),
    "node.invite": N_("node invited"),
    "node.join": N_("node joined"),
    "node.renew": N_("certificate of a node renewed"),
    "node.revoke": N_("node shut out"),
    "override.end": N_("override ended"),
    "override.over": N_("override ran out"),
    "override.set": N_("override set"),
    "rehearsal.begin": N_("rehearsal begun"),
    "rehearsal.stop": N_("rehearsal stopped"),
    "revision.apply": N_("revision applied"),
    "revision.rollback": N_("rolled back"),
    "rollout.continue": N_("rollout continued"),
    "rollout.stop": N_("rollout stopped"),
    "session.end": N_("session ended"),
    "store.dump": N_("store dumped"),
    "token.create": N_("API token made"),
    "token.revoke": N_("API token revoked"),
    "user.change": N_("user changed"),
    "user.create": N_("user added"),
    "user.password": N_("password changed"),
    "user.password_reset": N_("password reset"),
    "user.remove": N_("user removed"),
}


def did(action: str) -> str:
    """In words, or nothing where there are none."""
    return DID.get(action, "")
