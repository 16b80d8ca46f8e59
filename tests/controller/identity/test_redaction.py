"""No secret of any object reaches audit, repr, logs, differences or the JSON of messages."""

from __future__ import annotations

import dataclasses
import json
import logging
from dataclasses import dataclass, field
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretBytes, SecretStr, ValidationError
from tests.controller.identity.world import NOW

from holdfast.controller.identity.auditing import audited
from holdfast.controller.identity.redaction import CHANGED, HIDDEN, before_and_after, shown
from holdfast.protocol import JoinRequest, JoinToken
from holdfast.store.models import ClusterLock, Role, Token, User

SECRETS = st.text("ghjkmnpqrtvwxyz", min_size=12, max_size=24).map(lambda text: f"sEcReT{text}")


class Leaf(BaseModel):
    name: str = "leaf"
    password: SecretStr | None = None
    key: SecretBytes | None = None
    sealed: Annotated[str, Field(repr=False)] = ""


@dataclass
class Note:
    text: str = "note"
    token: str = field(default="", repr=False)


class Branch(BaseModel):
    leaf: Leaf = Leaf()
    leaves: tuple[Leaf, ...] = ()
    named: dict[str, Leaf] = {}
    note: Note = Note()
    loose: dict[str, SecretStr] = {}
    deep: Branch | None = None


def _leaves() -> st.SearchStrategy[Leaf]:
    secret = SECRETS
    return st.builds(
        Leaf,
        password=st.none() | secret.map(SecretStr),
        key=st.none() | secret.map(lambda text: SecretBytes(text.encode())),
        sealed=secret,
    )


BRANCHES = st.recursive(
    st.builds(
        Branch,
        leaf=_leaves(),
        leaves=st.lists(_leaves(), max_size=3).map(tuple),
        named=st.dictionaries(st.sampled_from("abc"), _leaves(), max_size=2),
        note=st.builds(Note, token=SECRETS),
        loose=st.dictionaries(st.sampled_from("abc"), SECRETS.map(SecretStr), max_size=2),
    ),
    lambda inner: st.builds(Branch, deep=inner, leaf=_leaves()),
    max_leaves=3,
)
ROOTS = BRANCHES | st.lists(BRANCHES, max_size=2) | st.dictionaries(st.sampled_from("xy"), BRANCHES, max_size=2)


@given(ROOTS, ROOTS)
def test_no_secret_of_any_object_is_told_anywhere(before: object, after: object) -> None:
    told = [*before_and_after(before, after), json.dumps(shown(after)), repr(before), str(after), f"{after!r:.100000}"]
    told.append(logging.LogRecord("x", 20, "x", 1, "now %s, before %r", (after, before), None).getMessage())
    record = audited(NOW, "user:anna", "thing.change", "thing", before=before, after=after)
    told += [record.model_dump_json(), repr(record)]
    for text in told:
        assert "sEcReT" not in text


@given(BRANCHES)
def test_what_is_no_secret_is_told(branch: Branch) -> None:
    told = shown(branch)
    assert isinstance(told, dict)
    assert told["leaf"] == {
        "name": "leaf",
        "password": HIDDEN if branch.leaf.password else None,
        "key": HIDDEN if branch.leaf.key else None,
        "sealed": HIDDEN,
    }


def test_that_a_secret_changed_is_told_and_not_to_what() -> None:
    old = Branch(leaf=Leaf(password=SecretStr("sEcReT1")), named={"a": Leaf(sealed="sEcReT2")})
    new = Branch(leaf=Leaf(password=SecretStr("sEcReT3")), named={"a": Leaf(sealed="sEcReT4")})
    after = json.loads(before_and_after(old, new)[1])
    assert after["leaf"]["password"] == CHANGED
    assert after["named"]["a"]["sealed"] == CHANGED
    assert json.loads(before_and_after(old, old)[1])["leaf"]["password"] == HIDDEN
    assert before_and_after(None, old)[0] == ""


def test_records_of_the_store_hide_what_they_should() -> None:
    hashed = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$sEcReT"
    user = User(name="anna", password_hash=hashed, role=Role.ADMIN, created=NOW, password_changed=NOW)
    token = Token(digest="5ec2e7" + "0" * 58, name="ci", purpose="api", owner="anna", created=NOW, expires=NOW)
    lock = ClusterLock(lock="", sealed_secrets="key1.sEcReT")
    for record in (user, token, lock):
        for text in (json.dumps(shown(record)), repr(record), str(record)):
            assert "sEcReT" not in text
            assert "5ec2e7" not in text
    assert User.model_validate_json(user.model_dump_json()) == user  # what is stored is whole


def test_a_join_token_leaves_its_request_on_the_wire_alone() -> None:
    token = JoinToken("shop", "lb01", "a" * 64, "sEcReT")
    assert "sEcReT" not in repr(token)
    asked = JoinRequest(token=SecretStr(token.text()), certificate_request="x")
    for text in (repr(asked), asked.model_dump_json(), str(asked.model_dump()), json.dumps(shown(asked))):
        assert "sEcReT" not in text
    assert JoinRequest.model_validate_json(asked.wire()).token.get_secret_value() == token.text()
    with pytest.raises(ValidationError) as refused:
        JoinRequest.model_validate({"token": "sEcReT" * 100, "certificate_request": 3})
    assert "sEcReT" not in str(refused.value)


class Strange:
    def __repr__(self) -> str:
        return "sEcReT"


def test_what_is_not_known_is_not_told() -> None:
    around: list[object] = []
    around.append(around)  # holds itself
    assert shown([Strange(), b"sEcReT", {SecretStr("sEcReT"): 1}, {Strange(): 2}]) == [
        "(Strange)", "(bytes)", {HIDDEN: 1}, {"(Strange)": 2},
    ]  # fmt: skip
    assert "too deep" in json.dumps(shown(around))
    assert shown({3, 1, 2}) == [1, 2, 3]
    assert dataclasses.is_dataclass(Note)
    assert shown(Note) == "(type)"


@given(st.text(max_size=3000), st.text(max_size=3000))
def test_what_strangers_send_fits_into_the_audit_as_one_line(target: str, actor: str) -> None:
    record = audited(NOW, actor or "x", "login.fail", target, source=target)
    assert record.target.isprintable()
    assert record.actor.isprintable()
