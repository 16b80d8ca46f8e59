"""What a node says of itself: whom it follows, what is overridden, also before anything was brought to it."""

from __future__ import annotations

from pathlib import Path

from tests.agent.services.fakes import node_in

from holdfast.agent.__main__ import keep_for_later
from holdfast.agent.credentials import IDENTITY_FILE
from holdfast.agent.daemon.settings import SETTINGS_FILE, Settings, write_settings
from holdfast.agent.files import replace
from holdfast.agent.status import lines, node_status
from holdfast.protocol import OverrideKind, Overrides, ServerOverride


def test_a_node_that_joined_says_whom_it_follows_and_others_follow_nobody(tmp_path: Path) -> None:
    node, _ = node_in(tmp_path)
    settings = node.places.at(SETTINGS_FILE)
    assert node_status(node).controllers == ()
    settings.parent.mkdir(parents=True)
    write_settings(settings, Settings(controllers=("https://ctl.example:8443",)))
    assert node_status(node).controllers == ()  # it was told of them, and never let in
    replace(node.places.at(IDENTITY_FILE), b"", 0o600)
    found = node_status(node)
    assert found.controllers == ("https://ctl.example:8443",)
    assert "  follows https://ctl.example:8443" in lines(found)
    settings.write_text("controllers = 7\n")
    assert node_status(node).controllers == ()


def test_overrides_are_kept_for_a_node_that_directs_nothing_yet(tmp_path: Path) -> None:
    node, _ = node_in(tmp_path)
    drained = ServerOverride(server="rs01:80", kind=OverrideKind.DRAINED)
    assert keep_for_later(node, Overrides(servers=(drained,)), as_json=True) == 0
    assert node_status(node).overrides == (drained,)
