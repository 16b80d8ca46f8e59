"""Who mails what about servers: only what the spec asks for, only about servers that somebody asks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.differential.l7_views import pool, server, site, view

from holdfast.agent.admission import haproxy as admission
from holdfast.bundle import PROBER_FILE, ProbedPools
from holdfast.compile.node_view import MailView, NodeView
from holdfast.compile.renderers import haproxy, prober
from holdfast.spec.checks import Check

SERVERS = [server("web01-80", "10.0.0.7", 80), server("web02-80", "10.0.0.8", 80)]
MAIL = MailView("10.0.0.9", 25, "ha@example.com", ("ops@example.com",))


def node(engine: str, mail: MailView | None, check: Check | None) -> NodeView:
    pools = [pool("web", SERVERS, check=check)]
    return replace(view(engine, [site("shop", (), {"to": "web"})], pools), mail=mail)


HTTP, TCP = Check(http="/healthz"), Check(tcp=True)


@pytest.mark.parametrize(("up", "level"), [(False, "alert"), (True, "notice")])
@pytest.mark.parametrize("check", [HTTP, TCP])
def test_haproxy_tells_no_more_than_was_asked_for(up: bool, level: str, check: Check) -> None:
    (file,) = haproxy.render(node("haproxy", replace(MAIL, server_down=True, server_up=up), check)).files
    assert f"    email-alert level {level}\n" in file.content
    assert file.content.count("\nmailers ") == 1
    assert "cluster shop, node lb01" in file.content
    assert admission.check(file) == []


@pytest.mark.parametrize(
    ("mail", "check"),
    [(None, HTTP), (MAIL, HTTP), (MAIL, TCP), (replace(MAIL, server_down=True, server_up=True), None)],
)
def test_haproxy_is_told_nothing_of_mail_where_there_is_nothing_to_tell(
    mail: MailView | None, check: Check | None
) -> None:
    assert haproxy.render(node("haproxy", mail, check)) == haproxy.render(node("haproxy", None, check))


def test_what_haproxy_cannot_do_is_refused_only_where_haproxy_should_do_it() -> None:
    asked = replace(MAIL, server="mail", recipients=("a@example.com", "b@example.com"), server_up=True)
    fields = [refusal.field for refusal in haproxy.render(node("haproxy", asked, HTTP)).refusals]
    assert fields == ["notify.on", "notify.email.to", "notify.email.smtp"]
    assert haproxy.render(node("haproxy", asked, None)).refusals == ()
    assert haproxy.render(node("haproxy", replace(asked, server_up=False), HTTP)).refusals == ()
    assert prober.render(node("nginx", asked, HTTP)).refusals == ()


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("up", [True, False])
def test_the_prober_learns_whom_to_tell(down: bool, up: bool) -> None:
    (file,) = prober.render(node("nginx", replace(MAIL, server_down=down, server_up=up), HTTP)).files
    assert file.path == PROBER_FILE
    mail = ProbedPools.model_validate_json(file.content).mail
    assert (mail is None) is not (down or up)
    if mail:
        assert (mail.down, mail.up, mail.cluster, mail.node) == (down, up, "shop", "lb01")
        assert (mail.host, mail.port, mail.recipients) == ("10.0.0.9", 25, ("ops@example.com",))
