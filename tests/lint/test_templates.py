"""Templates that nobody filled in: one error at the first placeholder, and each complaint of keepalived on its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.keepalived.corpus import needs_keepalived
from tests.lint.test_corpus import complaints, places, remarks

from holdfast.findings import Severity
from holdfast.keepalived.files import InMemory
from holdfast.lint import engine
from holdfast.lint.registry import rules
from holdfast.lint.samples import SCRIPTS, instance, script, virtual

TRACK = "track_script {\n    check_web\n}"
JINJA = f"""# of Ansible
{SCRIPTS}{script()}vrrp_instance web {{
    state {{{{ state }}}}
    interface {{{{ interface | default("eth0") }}}}
    virtual_router_id {{{{vrid}}}}
    priority {{{{ priority }}}}
    unicast_peer {{
    {{% for peer in peers %}}
        {{{{ peer }}}}
    {{% endfor %}}
    }}
    virtual_ipaddress {{
        {{{{ address }}}}/24 dev {{{{ interface }}}}
    }}
}}
"""
GO = """{{- range .Instances }}
vrrp_instance {{ .Name }} {
    interface {{ .Interface }}
    virtual_router_id {{ .Id }}
    {{- if .Unicast }}
    unicast_peer {
        {{ .Peer }}
    }
    {{- end }}
    virtual_ipaddress {
        {{ .Address }}
    }
}
{{- end }}
"""
ERB = """vrrp_instance web {
    interface <%= @interface %>
<% if @master -%>
    state MASTER
<% else -%>
    state BACKUP
<% end -%>
    virtual_router_id <%= @vrid %>
    virtual_ipaddress {
<% @addresses.each do |one| -%>
        <%= one %>
<% end -%>
    }
}
"""
SHELL = """vrrp_script check {
    script "/usr/local/bin/check"
    interval ${INTERVAL:-2}
    weight -1
}
vrrp_instance VI_${VRID:-51} {
    interface ${INTERFACE}
    virtual_router_id ${VRID:-51}
    virtual_ipaddress {
        ${ADDRESS:-10.0.0.100}/${BITS:-24} dev ${INTERFACE}
    }
}
"""
TEMPLATES = {"jinja": (JINJA, "state {{"), "go": (GO, "{{- range"), "erb": (ERB, "<%= @int"), "shell": (SHELL, "${INT")}
NONE = {
    "a program's own braces": SCRIPTS
    + script(command="/usr/bin/docker inspect -f '{{.State.Running}}' web")
    + instance(TRACK),
    "the same without quotes": SCRIPTS
    + script(command="x").replace('"x"', "/usr/bin/docker inspect -f {{.State.Running}} web")
    + instance(TRACK),
    "a comment": instance("priority 150 # {{ priority }} or ${PRIORITY} or <%= @priority %>"),
    "a variable": "$PRIORITY=150\n" + instance("priority ${PRIORITY}"),
    "a variable that is misspelt": "$PRIO=150\n" + instance("priority ${PRIORITY}"),
    "keepalived's own variable": instance("priority ${_RANDOM 100 150}"),
    "a password": instance('authentication {\n    auth_type PASS\n    auth_pass "{{a}}"\n}'),
    "a variable of a file that was not read": "include variables.conf\n" + instance("priority ${PRIORITY}"),
    "braces that are doubled": "vrrp_instance web {{\n    interface eth0\n}}\n",
}


def said(text: str, name: str = "keepalived.conf") -> list[engine.Remark]:
    return engine.examine([engine.read_text(text, name)])


def errors(text: str) -> list[tuple[str, int]]:
    found = [one.finding for one in said(text) if one.finding.severity is Severity.ERROR]
    return [(one.code, one.location.line if one.location else 0) for one in found]


def line_of(text: str, words: str) -> int:
    return next(at for at, line in enumerate(text.splitlines(), 1) if words in line)


@pytest.mark.parametrize(("text", "first"), TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_is_one_error_at_its_first_placeholder(text: str, first: str) -> None:
    assert errors(text) == [("KA058", line_of(text, first))]
    rest = {(one.finding.code, one.finding.severity) for one in said(text)} - {("KA058", Severity.ERROR)}
    assert rest <= {("KA058", Severity.INFO)}


@pytest.mark.parametrize("text", NONE.values(), ids=NONE)
def test_what_looks_like_a_template_is_none(text: str) -> None:
    assert "KA058" not in [one.finding.code for one in said(text)]


def test_mistakes_that_hang_on_no_placeholder_are_told() -> None:
    """Of the language on their own line; of a block, where none stands in it."""
    pipe = SCRIPTS + script(command="/usr/bin/ss -ltn | /usr/bin/grep :80")
    text = pipe + instance(f"priority {{{{ priority }}}}\nprioriti 150\n{TRACK}")
    assert errors(text) == [
        ("SCRIPT102", line_of(text, "grep")),
        ("KA058", line_of(text, "{{")),
        ("KA001", line_of(text, "prioriti ")),
    ]


def test_of_branches_nothing_is_said_of_braces() -> None:
    text = "{% if one %}\nvrrp_instance a {\n{% else %}\nvrrp_instance b {\n{% endif %}\n    bogus\n}\n"
    assert errors(text) == [("KA058", 1)]


def test_a_placeholder_of_an_included_file_is_told_there() -> None:
    beside = {"part.conf": instance("priority {{ priority }}").encode()}
    subject = engine.read_text("include part.conf\nbogus\n", "keepalived.conf", "", InMemory(beside))
    found = [one.finding for one in engine.examine([subject]) if one.finding.severity is Severity.ERROR]
    told = [(one.code, one.location.file if one.location else "") for one in found]
    assert told == [("KA001", "keepalived.conf"), ("KA058", "part.conf")]


def test_a_template_is_compared_with_nothing() -> None:
    texts = {"lb1": instance("priority {{ priority }}"), "lb2": instance("priority 100\nadvert_int 3")}
    subjects = [engine.read_text(text, f"{node}.conf", node) for node, text in texts.items()]
    found = engine.examine(subjects, peers=True)
    assert {one.finding.code for one in found if one.finding.severity is Severity.ERROR} == {"KA058"}
    assert not [one.finding.code for one in found if one.finding.code.startswith("PEER")]


def test_who_does_not_ask_for_it_is_told_all() -> None:
    subject = engine.read_text(JINJA, "keepalived.conf")
    others = [rule for rule in rules().values() if rule.id != "KA058"]
    codes = {one.finding.code for one in engine.examine([subject], among=others)}
    assert {"KA003", "KA022"} <= codes


@pytest.mark.lab
@needs_keepalived
@pytest.mark.parametrize("text", [text for text, _ in TEMPLATES.values()], ids=TEMPLATES)
def test_every_complaint_of_keepalived_has_a_remark_on_its_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "keepalived.conf"
    path.write_text(text + virtual())
    wanted = complaints(path)
    assert len(wanted) > 1
    assert {(file, line) for file, line, _ in wanted} <= places(remarks(path, here=True))
