"""What the editor knows of where one is in a text, after any edits: the same as whoever reads all of it anew."""

from __future__ import annotations

import json

import pytest
from tests.browser.conftest import Looking
from tests.browser.test_editor import EDITOR

pytestmark = [pytest.mark.browser]
_EDITED = """(seed) => {
  let random = seed;
  const upto = (most) => (random = (Math.imul(random, 1664525) + 1013904223) >>> 0) % most;
  const SERVICE = "  web: {on: 'x:80', servers: ['10.0.0.1:80', '10.0.0.2:80'], check: {tcp: true}}\\n";
  const parts = [
    "key: value\\n", "  ", "    - a: 1\\n", "{", "}", "[", "]", "'", '"', "\\n", "- ", ": ", ", ", " |\\n", "# c\\n",
    "a", "virtual_servers:\\n", SERVICE, "vrrp:\\n  www:\\n    addresses: {vip: 10.0.0.3/24}\\n", "pools: {\\n",
    "  app: {servers: [\\n", "    'a:1',\\n", "  ]},\\n", "}\\n",
  ];
  const some = (many) => Array.from({length: many}, () => parts[upto(parts.length)]).join("");
  const known = (outline) => {
    const found = [...outline.names()].map(([part, names]) => [part, [...names].sort()]);
    return JSON.stringify(found.sort());
  };
  const begin = "networks:\\n  front: {cidr: 10.0.0.0/24}\\nvirtual_servers:\\n" + SERVICE.repeat(300) + "pools:\\n";
  const end = "sites:\\n  shop:\\n    hosts: [a]\\n".repeat(200);
  let state = CodeMirror.EditorState.create({doc: begin + some(40) + end}), places = 0;
  const kept = Outline(state.doc), wrong = [];
  for (let round = 0; round < 150; round += 1) {
    const length = state.doc.length, first = upto(length + 1), second = Math.min(length, first + upto(200));
    const more = upto(3) ? [] : [{from: Math.min(length, second + upto(3000)), insert: some(2)}];
    const changes = [{from: first, to: upto(2) ? first : second, insert: upto(4) ? some(1 + upto(3)) : ""}, ...more];
    const {changes: made, state: next} = state.update({changes});
    kept.changed(made, next.doc);
    state = next;
    if (upto(3) === 0) continue; // several changes before anybody asks
    const fresh = Outline(state.doc), at = upto(state.doc.length + 1);
    while (!kept.read(at, 0)); // a piece at a time
    fresh.read(state.doc.length, 1e9);
    const [one, other] = [kept, fresh].map((outline) => JSON.stringify(outline.place(at)));
    if (one !== "null") places += 1;
    if (one !== other) wrong.push([round, at, one, other]);
    if (upto(4) === 0) {
      kept.read(state.doc.length, 1e9);
      if (known(kept) !== known(fresh)) wrong.push([round, "names"]);
    }
  }
  return JSON.stringify({wrong: wrong.slice(0, 3), places});
}"""
_READ = """() => {
  const line = "  service: {on: 'g:80', forward: nat, servers: ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']}\\n";
  let state = CodeMirror.EditorState.create({doc: "virtual_servers:\\n" + line.repeat(10000)});
  const outline = Outline(state.doc), times = [], first = performance.now();
  outline.read(state.doc.length, 1e9);
  const whole = performance.now() - first;
  for (const at of [20, 500000, state.doc.length - 40]) {
    const made = state.update({changes: {from: state.doc.lineAt(at).from, insert: "  x: 1\\n"}});
    const began = performance.now();
    state = made.state;
    outline.changed(made.changes, state.doc);
    const read = outline.read(state.doc.length, 1e9), place = outline.place(state.doc.length);
    times.push(performance.now() - began);
    if (!read || place.kind !== "key") return "not read";
  }
  return JSON.stringify([whole, Math.min(...times)]); // the machine may be busy with something else in between
}"""


@pytest.mark.parametrize("seed", range(1, 5))
def test_what_was_read_before_is_as_good_as_what_is_read_anew(looking: Looking, seed: int) -> None:
    looking.login(path=EDITOR)
    looking.page.locator(".cm-line").first.wait_for()
    found = json.loads(looking.page.evaluate(_EDITED, seed))
    assert found["wrong"] == []
    assert found["places"] > 5, "nothing was compared"


def test_a_line_more_in_a_megabyte_has_little_of_it_read_again(looking: Looking) -> None:
    looking.login(path=EDITOR)
    looking.page.locator(".cm-line").first.wait_for()
    whole, again = json.loads(looking.page.evaluate(_READ))
    assert again < whole / 4, (whole, again)
