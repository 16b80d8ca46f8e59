"""What --fix changes, and that keepalived understands the same afterwards."""

from __future__ import annotations

import pytest

from holdfast.keepalived.source import Source
from holdfast.lint import engine, fixes
from holdfast.lint.samples import instance, virtual

GET = "HTTP_GET {\n    url {\n        path /\n    }\n    nb_get_retry 3 # three\n}"


def fixed(text: str) -> tuple[str, bool]:
    """The text as it is changed, and whether that is judged to be safe."""
    subject = engine.read_text(text, "a.conf")
    made = fixes.edits(engine.examine([subject]), subject.sources)
    new = fixes.changed(Source("a.conf", text), made)
    return new, fixes.is_safe(Source("a.conf", text), new, made=made)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (instance().replace("web {", "web{"), instance()),
        (instance().replace("web {", "web{ # why{"), instance().replace("web {", "web { # why{")),
        (virtual(real=GET), virtual(real=GET.replace("nb_get_retry", "retry"))),
        (
            virtual("nat_mask 255.255.255.0"),
            virtual("nat_mask 255.255.255.0").replace("    nat_mask 255.255.255.0\n", ""),
        ),
        (instance("advert_int 1 second # why"), instance("advert_int 1 # why")),
        (
            instance("authentication {\n    auth_type PASS\n    auth_pass VeryLongPassword\n}"),
            instance("authentication {\n    auth_type PASS\n    auth_pass VeryLong\n}"),
        ),
        ("global_defs {\n    lvs_flush_onstop\n}\n", "global_defs {\n    lvs_flush_on_stop\n}\n"),
        ("\ufeff" + instance(), instance()),
        (instance("priority\u00a0150 # a\u00a0b"), instance("priority 150 # a\u00a0b")),
        (instance("state backup"), instance("state BACKUP")),
        (virtual("lb_kind nat"), virtual("lb_kind NAT")),
    ],
    ids=[
        "blank",
        "blank and comment",
        "renamed",
        "gone",
        "ignored words",
        "password",
        "renamed flag",
        "byte order mark",
        "no-break space",
        "BACKUP",
        "NAT",
    ],
)
def test_what_is_mechanical_and_safe(old: str, new: str) -> None:
    assert fixed(old) == (new, True)
    assert fixed(new) == (new, True)


@pytest.mark.parametrize(
    "text",
    [
        instance("state master"),
        virtual("lb_kind dr"),
        "$S=backup\n" + instance("state $S"),
        instance('notify_master "/usr/bin/echo\u00a0x"'),
        instance("authentication { auth_type PASS auth_pass s3cret }"),
        "$A=VeryLongPassword\n" + instance("authentication {\n    auth_type PASS\n    auth_pass $A\n}"),
        instance("authentication {\n    auth_type PASS\n    auth_pass ab#cd\n}"),
        instance("raise 3"),
    ],
    ids=["letter case", "another method", "by variable", "quoted", "one line", "variable", "comment", "unknown"],
)
def test_what_would_change_the_meaning_is_left(text: str) -> None:
    assert fixed(text) == (text, True)


def test_several_changes_of_one_line() -> None:
    text = instance().replace("web {", "web{").replace("virtual_ipaddress {", "virtual_ipaddress{")
    assert fixed(text)[0] == instance()


def test_another_meaning_is_not_safe() -> None:
    old = Source("a.conf", instance())
    assert not fixes.is_safe(old, instance("priority 150"))
    assert not fixes.is_safe(old, instance().replace("state BACKUP", "state"[:0]))
    assert not fixes.is_safe(old, "")


def test_line_ends_and_odd_bytes_stay() -> None:
    text = instance().replace("web {", "web{").replace("\n", "\r\n") + "# \udcff\r\n"
    assert fixed(text)[0] == text.replace("web{", "web {")
