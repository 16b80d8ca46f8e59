"""Who is who and who may do what: certificates of nodes, logins and tokens of people, one table of rights."""

from .auditing import audited
from .authorities import Authorities
from .doors import Doors, open_doors
from .enrolment import Enrolment
from .logins import LoggedIn, Logins
from .permissions import Action, NodeAgent, Person, Principal, may, require
from .redaction import before_and_after, shown
from .sessions import SessionFacts, Sessions
from .tls import server_context
from .users import UserChange, Users

__all__ = [
    "Action", "Authorities", "Doors", "Enrolment", "LoggedIn", "Logins", "NodeAgent", "Person", "Principal",
    "SessionFacts", "Sessions", "UserChange", "Users", "audited", "before_and_after", "may", "open_doors", "require",
    "server_context", "shown",
]  # fmt: skip
