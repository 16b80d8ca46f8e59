"""How a node becomes known: the join token that a person carries to it, and what it asks for a certificate with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr, SerializationInfo, field_serializer

from holdfast.bundle import SafeName
from holdfast.errors import EnrolmentRefused

from .message import PROTOCOL_VERSION, Message

LONGEST_TOKEN = 400  # characters
LARGEST_REQUEST = 8_192  # characters of a certificate request
LARGEST_CERTIFICATE = 16_384  # characters

_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_TOKEN = re.compile(rf"hfj1:({_NAME}):({_NAME}):([0-9a-f]{{64}}):([A-Za-z0-9_-]{{43}})")
_ON_THE_WIRE = "on the wire"  # a serialisation context: the one way in which a secret leaves its message

_Request = Annotated[str, Field(max_length=LARGEST_REQUEST)]
_Certificate = Annotated[str, Field(max_length=LARGEST_CERTIFICATE)]


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a person carries from a controller to one node; good for one time.

    `fingerprint` is the SHA-256 of the certificate authority's certificate (DER) in hexadecimal digits: a node knows by
    it whom it may tell the secret. The names are for the node's own good; a controller believes only its record.
    """

    cluster: str
    node: str
    fingerprint: str
    secret: str = field(repr=False)

    def text(self) -> str:
        """The token as people copy it: one word, safe in any shell."""
        return f"hfj1:{self.cluster}:{self.node}:{self.fingerprint}:{self.secret}"

    @classmethod
    def parse(cls, text: str) -> JoinToken:
        """The token that a person gave; EnrolmentRefused, without quoting it, for what is none."""
        found = _TOKEN.fullmatch(text.strip()) if len(text) <= LONGEST_TOKEN else None
        if not found:
            raise EnrolmentRefused(
                "this is not a join token", "copy it whole: it begins with hfj1: and holds four more colons"
            )
        return cls(*found.groups())


class _Asking(Message):
    """What holds a secret never shows what it was made of, not even when it is refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class JoinRequest(_Asking):
    """A node asks for its first certificate. Of `certificate_request` (PEM) only the public key is believed."""

    version: Literal[1] = PROTOCOL_VERSION
    token: Annotated[SecretStr, Field(max_length=LONGEST_TOKEN)]
    certificate_request: _Request
    agent_version: Annotated[str, Field(max_length=50)] = ""

    @field_serializer("token")
    def _token(self, token: SecretStr, info: SerializationInfo) -> str:
        return token.get_secret_value() if info.context == _ON_THE_WIRE else str(token)

    def wire(self) -> bytes:
        """The request as JSON with its secret, to be sent; every other way to write it down hides that."""
        return self.model_dump_json(context=_ON_THE_WIRE).encode()


class JoinAnswer(Message):
    """The node's certificate and the authority's own, both PEM."""

    version: Literal[1] = PROTOCOL_VERSION
    cluster: SafeName
    node: SafeName
    certificate: _Certificate
    authority: _Certificate


class RenewRequest(Message):
    """A node asks, over a connection that its present certificate opened, for the next one: a new key each time.

    `follows`: it goes over to an authority that the one which it pinned vouches for.
    """

    version: Literal[1] = PROTOCOL_VERSION
    certificate_request: _Request
    agent_version: Annotated[str, Field(max_length=50)] = ""
    follows: bool = False


class RenewAnswer(Message):
    """The next certificate; `authority` must be the one that the node pinned.

    With a `successor`, it is of that authority, which the pinned one vouches for in `crossed`: from now on it is the
    one that the node trusts, and the pinned one may be withdrawn.
    """

    version: Literal[1] = PROTOCOL_VERSION
    certificate: _Certificate
    authority: _Certificate
    successor: _Certificate = ""
    crossed: _Certificate = ""


def node_name_in_certificate(cluster: str, node: str) -> str:
    """The URI by which a certificate names a node (its only subjectAltName).

    A URI, because names of nodes may hold what a DNS name may not, and no TLS client takes it for a host's name.
    """
    return f"urn:holdfast:node:{cluster}:{node}"
