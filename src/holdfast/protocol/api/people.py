"""Sessions, users and API tokens as the API says them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, SecretStr

from holdfast.bundle import SafeName

from .base import Asked, Told

RoleWord = Literal["viewer", "operator", "admin"]
Password = Annotated[SecretStr, Field(min_length=1, max_length=1000)]
ClusterLimits = Annotated[tuple[SafeName, ...], Field(max_length=1000)]


class LoginRequest(Asked):
    """Who wants in. The session comes as a cookie."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    password: Password


class SessionView(Told):
    """Who somebody is, and what they may do. `csrf` goes into the header X-CSRF-Token of every write by cookie."""

    name: str
    role: RoleWord
    clusters: ClusterLimits | None = Field(default=None, description="Null: all.")
    must_change: bool = Field(default=False, description="The password has to be changed before anything else.")
    via: Literal["session", "token"] = "session"
    token: str = Field(default="", description="The name of the API token that was shown.")
    csrf: str = Field(default="", repr=False)


class OpenSession(Told):
    """A session that is good now. `prefix` is how its secret begins, and by which it is ended."""

    prefix: str
    owner: str
    began: AwareDatetime
    used: AwareDatetime
    ends: AwareDatetime = Field(description="Unless it is used before that; twelve hours after it began in any case.")
    this: bool = Field(default=False, description="It is the one that asks.")


class OpenSessions(Told):
    """The sessions of a user, the newest first."""

    sessions: tuple[OpenSession, ...]


class PasswordRequest(Asked):
    """One's own password, changed; all sessions end."""

    old: Password
    new: Password


class UserView(Told):
    """A user."""

    name: SafeName
    role: RoleWord
    clusters: ClusterLimits | None = None
    created: AwareDatetime
    password_changed: AwareDatetime
    must_change: bool = False
    disabled: bool = False


class UserList(Told):
    """All users."""

    users: tuple[UserView, ...]


class UserRequest(Asked):
    """A new user."""

    name: SafeName
    role: RoleWord
    clusters: ClusterLimits | None = None


class UserChangeRequest(Asked):
    """What is to be different; what is left out stays. `unlimited` takes the limits to clusters away."""

    role: RoleWord | None = None
    clusters: ClusterLimits | None = None
    unlimited: bool = False
    disabled: bool | None = None


class OneTimePassword(Told):
    """Shown this once; its owner has to change it at the first login."""

    name: SafeName
    password: str = Field(repr=False)


class TokenView(Told):
    """An API token. `prefix` is how it begins, and by which it is revoked."""

    prefix: str
    name: str
    owner: str
    role: RoleWord
    clusters: ClusterLimits | None = None
    scopes: tuple[str, ...] = ()
    created: AwareDatetime
    expires: AwareDatetime
    used: AwareDatetime | None = Field(default=None, description="When it was used last, to ten minutes; null: never.")
    revoked: AwareDatetime | None = None


class TokenList(Told):
    """One's own API tokens, or everybody's for who manages them."""

    tokens: tuple[TokenView, ...]


class TokenRequest(Asked):
    """A new API token: never more than its owner may, and 366 days at most.

    `scopes` are what a token may only do if it is said here, whatever its role. `users`: an administrator's token may
    see, disable and remove users, and end their sessions.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: RoleWord = "viewer"
    days: Annotated[float, Field(gt=0, le=366)] = 30.0
    clusters: ClusterLimits | None = None
    scopes: Annotated[tuple[Literal["users"], ...], Field(max_length=1)] = ()


class TokenSecret(Told):
    """A new API token, shown this once."""

    token: str = Field(repr=False)
    name: str
    expires: AwareDatetime
