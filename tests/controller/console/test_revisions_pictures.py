"""Differences, plans, rollouts and revisions as pages show them, without a web."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.controller.console.pictures import diffs, plans, revisions, rollouts
from holdfast.findings import Finding, Location, Severity
from holdfast.protocol import Progress
from holdfast.protocol.api.nodes import NodeSummary
from holdfast.protocol.api.plans import ChangeView, FileDiff, NodeChangeView, PlanView, StepView
from holdfast.protocol.api.revisions import RevisionDetail, RevisionList, RevisionView
from holdfast.protocol.api.rollouts import RolloutNodeView, RolloutView
from holdfast.sentences import Sentence

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = "0" * 64
UNIFIED = """\
# access of lb01:/etc/x: 0644 root:root → 0640 root:root
--- lb01:/etc/x
+++ lb01:/etc/x
@@ -3,4 +3,5 @@
 same
-  server 10.0.0.7:80 weight 2;
+  server 10.0.0.7:80 weight 30;
+new
 end
"""


def test_a_difference_is_numbered_on_both_sides_and_what_differs_in_a_line_is_marked() -> None:
    found = diffs.diff_of(UNIFIED)
    assert [(line.sign, line.old, line.new) for line in found.lines] == [
        ("·", None, None),
        ("⋯", None, None),
        (" ", 3, 3),
        ("−", 4, None),
        ("+", None, 4),
        ("+", None, 5),
        (" ", 5, 6),
    ]
    assert (found.added, found.removed, found.left_out) == (2, 1, 0)
    changed = diffs.diff_of("@@ -1 +1 @@\n-  weight 2;\n+  weight 30;\n").lines[1:]
    assert [(line.head, line.changed, line.tail) for line in changed] == [
        ("  weight ", "2", ";"),
        ("  weight ", "30", ";"),
    ]


@pytest.mark.parametrize("text", ["", "@@ -1 +1 @@\n-a\n+b\n", "+x\n\n y\n\\ No newline at end\n"])
def test_nothing_of_a_difference_is_lost(text: str) -> None:
    lines = diffs.diff_of(text).lines
    assert len(lines) == len(text.splitlines())
    for line, raw in zip(lines, text.splitlines(), strict=True):
        assert (line.head + line.changed + line.tail).strip() in raw


def test_a_line_that_looks_like_a_heading_is_a_line_all_the_same() -> None:
    found = diffs.diff_of("--- a\n+++ b\n@@ -1,2 +1,2 @@\n--- a comment of SQL\n+++ more\n same\n")
    assert [(line.sign, line.head + line.changed + line.tail) for line in found.lines[1:]] == [
        ("−", "-- a comment of SQL"),
        ("+", "++ more"),
        (" ", "same"),
    ]
    assert (found.added, found.removed) == (1, 1)


def test_a_long_difference_says_what_is_left_out() -> None:
    found = diffs.diff_of("".join(f"+{number}\n" for number in range(diffs.MOST_LINES + 7)))
    assert (len(found.lines), found.left_out, found.added) == (diffs.MOST_LINES, 7, diffs.MOST_LINES + 7)


def _change(hazard: str, where: str, why: str = "because") -> ChangeView:
    return ChangeView.model_validate(
        {"where": where, "what": "2 → 3", "how": "", "hazard": hazard, "why": why, "safer": "wait"}
    )


def test_a_plan_says_the_worst_first_and_each_reason_once() -> None:
    changes = (
        _change("live", "pool app"),
        *(_change("reload", f"site {n}") for n in range(6)),
        _change("live", "b", "x"),
    )
    file = FileDiff(path="/etc/x", kind="changed", diff=UNIFIED)
    nodes = (
        NodeChangeView(node="lb01", kind="changes", hazard="reload", changes=changes, files=(file,)),
        NodeChangeView(node="lb02", kind="changes", hazard="reload", changes=changes, files=(file,)),
        NodeChangeView(node="lb03", kind="leaves", hazard="drops-connections"),
    )
    told = PlanView(
        changed=True, hazard="drops-connections", counts={"live": 4, "reload": 12, "drops-connections": 1},
        steps=(StepView(nodes=("lb02",), why="standby"), StepView(nodes=("lb01", "lb03"), at_once=True)), nodes=nodes,
    )  # fmt: skip
    found = plans.plan_of(told, UNIFIED)
    assert [group.names for group in found.groups] == [("lb03",), ("lb01", "lb02")]
    assert [name for name, _ in found.counts] == ["drops-connections", "reload", "live"]
    first, *rest = found.groups[1].changes
    assert (first.hazard, first.places, first.more, first.why, first.safer) == (
        "reload", ("site 0", "site 1", "site 2", "site 3"), 2, "because", "wait",
    )  # fmt: skip
    assert [(one.places, one.why) for one in rest] == [(("pool app",), ""), (("b",), "x")]
    assert [(wave.number, wave.nodes, wave.at_once) for wave in found.waves] == [
        (1, ("lb02",), False),
        (2, ("lb01", "lb03"), True),
    ]
    assert found.hurts
    assert not plans.plan_of(PlanView(changed=True, hazard="reload")).hurts


def _rollout(phase: str, *nodes: RolloutNodeView, number: int = 1, revision: int = 1) -> RolloutView:
    return RolloutView(id=number, cluster="shop", revision=revision, phase=phase, created=NOW, nodes=nodes)


@pytest.mark.parametrize(
    ("phase", "progress", "marks", "word"),
    [
        ("waiting", None, "todo todo todo todo", "waiting"),
        ("applying", None, "now todo todo todo", "told"),
        ("applying", Progress.ACCEPTED, "done now todo todo", "accepted"),
        ("applying", Progress.APPLIED, "done done done now", "applied"),
        ("verified", Progress.VERIFIED, "done done done done", "verified"),
        ("failed", Progress.REFUSED, "done failed todo todo", "refused"),
        ("failed", Progress.PUT_BACK, "done done failed todo", "failed"),
        ("regressed", Progress.VERIFIED, "done done done failed", "lost addresses"),
        ("lost", None, "failed todo todo todo", "does not answer"),
        ("put back", Progress.VERIFIED, "back back back back", "put back"),
        ("away", None, "todo todo todo todo", "not waited for"),
    ],
)
def test_how_far_a_node_is(phase: str, progress: Progress | None, marks: str, word: str) -> None:
    node = RolloutNodeView(
        node="lb01", phase=phase, progress=progress, wave=1, started=NOW, ended=NOW + timedelta(seconds=2.5)
    )
    ((shown,),) = [wave.nodes for wave in rollouts.rollout_of(_rollout("running", node)).waves]
    assert (" ".join(step.mark for step in shown.steps), shown.word, shown.seconds) == (marks, word, 2.5)


def test_what_can_be_done_about_a_rollout() -> None:
    waves = [RolloutNodeView(node=f"lb0{n}", phase="verified", wave=n) for n in (0, 1, 2)]
    found = rollouts.rollout_of(_rollout("paused", *waves))
    assert (found.may_continue, found.may_stop, found.done, found.total) == (True, True, 3, 3)
    assert [wave.number for wave in found.waves] == [1, 2, 0]
    ended = rollouts.rollout_of(_rollout("succeeded", RolloutNodeView(node="lb01", phase="away")))
    assert (ended.may_continue, ended.may_stop, ended.away) == (False, False, ("lb01",))
    assert ended.outcome.state == "warning"  # nothing is green that was not verified


@pytest.mark.parametrize(
    ("phase", "word", "runs"),
    [
        ("verified", "verified", 3),
        ("put back", "put back", 2),
        ("failed", "failed", 2),
        ("waiting", "not changed", 2),
        ("broken", "broken", 0),
        ("lost", "does not answer", 0),
        ("away", "not waited for", 0),
    ],
)
def test_an_ended_rollout_says_what_each_node_was_left_with(phase: str, word: str, runs: int) -> None:
    node = RolloutNodeView(node="lb01", phase=phase, wave=1, old_revision=2)
    told = _rollout("failed", node, revision=3).model_copy(update={"ended": NOW})
    ((shown,),) = [wave.nodes for wave in rollouts.rollout_of(told).waves]
    assert (shown.word, shown.runs) == (word, runs)
    ((before,),) = [wave.nodes for wave in rollouts.rollout_of(_rollout("running", node)).waves]
    assert before.runs == 0  # who knows what comes


def test_a_rollout_that_was_stopped_by_a_person_is_no_failure() -> None:
    why = Sentence("stopped by %(who)s%(why)s", who="ada", why="")
    outcome = rollouts.outcome_of(_rollout("put back").model_copy(update={"reason": why}))
    assert (outcome.state, outcome.word) == ("warning", "stopped and put back")
    failed = rollouts.rollout_of(_rollout("put back").model_copy(update={"reason": "lb02: nginx is unwell"}))
    assert (failed.outcome.state, failed.outcome.word, failed.counted) == ("bad", "put back", False)


def _revision(number: int, **fields: object) -> RevisionView:
    return RevisionView.model_validate(
        {"number": number, "base": number - 1, "author": "ada", "message": "m", "time": NOW, "digest": DIGEST, **fields}
    )


def test_revisions_come_with_what_became_of_them_and_where_they_run() -> None:
    found = revisions.history_of(
        RevisionList(revisions=(_revision(2, message="more\nand why"), _revision(1)), newest=2, before=None),
        [_rollout("failed", number=3, revision=2), _rollout("succeeded", number=2, revision=2)],
        [
            NodeSummary(node="lb01", running=1, connected=True),
            NodeSummary(node="lb02", running=2, connected=True),
            NodeSummary(node="lb03", running=2, connected=False),  # silent: nobody knows what runs there now
        ],
    )
    newest, first = found.rows
    assert newest.outcome is not None
    assert (newest.outcome.rollout, newest.outcome.state, newest.runs_on, newest.newest) == (3, "bad", ("lb02",), True)
    assert (newest.message, newest.more) == ("more", True)
    assert (first.outcome, first.runs_on, first.newest) == (None, ("lb01",), False)


def test_findings_stand_at_their_lines() -> None:
    def finding(severity: Severity, line: int | None) -> Finding:
        where = Location(file="spec", line=line) if line else None
        return Finding(code="VRRP003", severity=severity, message="m", location=where)

    warning, remark, lost = (
        finding(Severity.WARNING, 2), finding(Severity.INFO, 2), finding(Severity.WARNING, 9),
    )  # fmt: skip
    whole = finding(Severity.INFO, None)
    detail = RevisionDetail(revision=_revision(1), spec="a: 1\nb: 2\n", findings=(remark, warning, lost, whole))
    found = revisions.spec_of(detail)
    assert [(line.number, line.worst, line.findings) for line in found.lines] == [
        (1, "", ()),
        (2, "warning", (remark, warning)),
    ]
    assert found.elsewhere == (lost, whole)
    assert found.counts == (("warning", 2), ("info", 2))


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("cluster: shop   # ours", [("", ""), ("key", "cluster:"), ("text", " shop   "), ("comment", "# ours")]),
        ("  - name: 'a # b'", [("", "  - "), ("key", "name:"), ("text", " 'a # b'")]),
        ("      - web01:80", [("", "      - web01:80")]),
        ("# all", [("", ""), ("comment", "# all")]),
        ("", [("", "")]),
    ],
)
def test_a_line_of_a_spec_in_pieces(line: str, pieces: list[tuple[str, str]]) -> None:
    found = [(piece.kind, piece.text) for piece in revisions.pieces_of(line)]
    assert found == pieces
    assert "".join(text for _, text in found) == line
