"""Brings a node to what a bundle wants, or back to where it was.

admit → stage → modules, sysctls, addresses → validate with the programs themselves → swap → reload → verify → commit;
after a failure at any of these steps, or a kill, everything that was done is undone, sysctls, the network, nftables and
running processes included.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection
from pathlib import Path

from holdfast.agent import changes, overrides, pool_overrides, staging, thresholds, undo
from holdfast.agent.changes import Changes
from holdfast.agent.generations import Generations, refuse_what_is_not_ours, set_aside
from holdfast.agent.holdback import let_go
from holdfast.agent.journal import Begin, Journal, Swapping, Touching, UnitsBefore, Validated, Verified
from holdfast.agent.kernel import Kernel, ailing
from holdfast.agent.lock import Turn, exclusive
from holdfast.agent.recovery import Attempt, Finish, Nothing, RollBack, decide
from holdfast.agent.services import base, modules, network, nftables
from holdfast.agent.services.base import Node
from holdfast.agent.services.daemons import DAEMONS
from holdfast.agent.steps import Steps, failure, translated
from holdfast.bundle import RUN_DIR, STATE_DIR, Bundle, Service
from holdfast.errors import ApplyError, HoldfastError, PolicyRefused, ValidationFailed
from holdfast.findings import Finding, Severity
from holdfast.protocol import ApplyReport, Outcome, Progress
from holdfast.sentences import Sentence, joined

Admit = Callable[[Bundle], tuple[Finding, ...]]
Tell = Callable[[Progress], None]  # called at `written` and at `applied`
INTERRUPTED = "the attempt was interrupted"


class Applier:
    """One node's. `admit` judges a bundle by the node's own policy; `prepare` puts the agent's probes into place."""

    def __init__(
        self, node: Node, admit: Admit, prepare: Callable[[], object], tell: Tell = lambda progress: None
    ) -> None:
        self._node = node
        self._admit = admit
        self._prepare = prepare
        self._tell = tell
        self.generations = Generations(node.places)

    def apply(self, bundle: Bundle, adopt: bool = False) -> ApplyReport:
        """Apply `bundle`; an earlier attempt that was cut off is ended first.

        Raises ApplyError if the node is busy.
        """
        with translated(), exclusive(self._node.places) as turn:
            steps = Steps(self._node.host.monotonic)
            interrupted = self._end_interrupted(steps)
            if interrupted is not None and interrupted.outcome is Outcome.BROKEN:
                return interrupted
            return self._run(bundle, adopt, steps, turn)

    def rollback(self, adopt: bool = False) -> ApplyReport:
        """Apply the generation before the present one, through the same steps; raises ApplyError if there is none."""
        name = self.generations.previous()
        bundle = self.generations.bundle(name)
        if bundle is None:
            raise ApplyError("there is no earlier generation on this node", "apply a bundle instead")
        return self.apply(bundle, adopt)

    def recover(self) -> ApplyReport | None:
        """End an attempt that was cut off, then bring up what the present generation wants and does not run.

        Returns None on a node that has nothing to recover and no generation.
        """
        with translated(), exclusive(self._node.places) as turn:
            steps = Steps(self._node.host.monotonic)
            interrupted = self._end_interrupted(steps)
            bundle = self.generations.bundle(self.generations.current())
            if bundle is None or (interrupted is not None and interrupted.outcome is Outcome.BROKEN):
                return interrupted
            report = self._run(bundle, False, steps, turn)
        if interrupted is not None and report.failure is None:
            return report.model_copy(update={"outcome": Outcome.RECOVERED, "notes": interrupted.notes})
        return report

    def end_interrupted(self) -> ApplyReport | None:
        """Only the first half of `recover`: what every command that changes something does first."""
        with translated(), exclusive(self._node.places):
            return self._end_interrupted(Steps(self._node.host.monotonic))

    def _run(self, bundle: Bundle, adopt: bool, steps: Steps, turn: Turn) -> ApplyReport:
        run = _Run(self._node, self.generations, self._admit, self._prepare, bundle, adopt, steps)
        return run.run(self._tell, turn)

    def _end_interrupted(self, steps: Steps) -> ApplyReport | None:
        let_go(self._node.host, self._node.places)  # of a mover that was killed
        journal = Journal(journal_path(self._node))
        action = decide(journal.entries)
        if isinstance(action, Nothing):
            return None
        begin = action.attempt.begin
        trouble: tuple[str, ...] = ()
        if isinstance(action, Finish):
            with steps.step("finish the interrupted attempt"):
                undo.finish(self._node, self.generations, journal, action.attempt)
            note = f"finished an interrupted attempt: generation {begin.new} is in use"
        else:
            reason = action.attempt.failed or INTERRUPTED
            trouble = undo.put_back(self._node, self.generations, journal, action.attempt, steps, reason, later=True)
            note = f"put back an interrupted attempt: generation {begin.old or '(none)'} is in use"
        return ApplyReport(
            node=begin.node,
            outcome=Outcome.BROKEN if trouble else Outcome.RECOVERED,
            digest=begin.digest,
            stages=steps.reports,
            failure=failure(_broken(trouble)) if trouble else None,
            notes=(note,),
        )


def journal_path(node: Node) -> Path:
    """Where it is."""
    return node.places.state / "journal.jsonl"


def _broken(trouble: tuple[str, ...]) -> ApplyError:
    return ApplyError(
        Sentence("the old state could not be put back: %(trouble)s", trouble=joined(trouble)),
        "put right what it names, then run `python -m holdfast.agent recover`",
    )


class _Run:
    """One attempt."""

    def __init__(
        self,
        node: Node,
        generations: Generations,
        admit: Admit,
        prepare: Callable[[], object],
        bundle: Bundle,
        adopt: bool,
        steps: Steps,
    ) -> None:
        self._node, self._generations, self._admit, self._prepare = node, generations, admit, prepare
        self._bundle, self._adopt, self._steps = bundle, adopt, steps
        self._journal = Journal(journal_path(node))
        self._old_name = generations.current()
        self._old = generations.bundle(self._old_name)
        self._kernel = Kernel(node, self._journal, steps, bundle, self._old)
        self._adopted: tuple[str, ...] = ()
        self._foreign_units: tuple[Path, ...] = ()
        self._attempt_name = secrets.token_hex(4)
        self._changes = Changes((), ())
        self._was_running: dict[Service, bool] = {}

    def run(self, tell: Tell, turn: Turn) -> ApplyReport:
        """All steps, or all of them undone."""
        self._tell, self._turn = tell, turn
        try:
            if not self._needed():
                with translated():
                    overrides.put(self._node.places, self._bundle)
                    self._carry_thresholds()
                return self._report(Outcome.UNCHANGED)
            self._attempt()
        except (HoldfastError, KeyboardInterrupt) as error:
            return self._undo(error)
        return self._commit()

    def _needed(self) -> bool:
        with self._steps.step("admit"):
            _refuse_inadmissible(self._bundle, self._admit(self._bundle))
        with self._steps.step("look") as remark:
            units, services = self._node.units, self._bundle.services
            foreign = self._generations.foreign(self._bundle)
            self._foreign_units = units.foreign(services) if units is not None else ()
            amiss = units.amiss(services) if units is not None else ()
            drift = self._generations.drift(self._old_name)
            drifted = tuple(self._generations.folder(self._old_name or "") / path for path in drift)
            if not self._adopt:
                refuse_what_is_not_ours((*foreign, *self._foreign_units), drifted)
            self._foreign, self._drifted = foreign, drifted
            self._refuse_before_anything_changes()
            edited = changes.services_of(drift)
            touched = changes.compare(self._old, self._bundle, edited).touched
            self._changes = changes.compare(self._old, self._bundle, edited | self._ailing(touched))
            remark.text = changes.in_words(self._changes, amiss)
        same = self._old is not None and self._old.digest == self._bundle.digest
        return bool(self._changes or foreign or drifted or amiss) or not same

    def _refuse_before_anything_changes(self) -> None:
        host = self._node.host
        overrides.read(self._node.places)
        modules.refuse_missing(host, self._bundle, os.uname().release)
        network.refuse_what_is_not_ours(host, self._bundle, self._old)

    def _ailing(self, touched: Collection[Service]) -> set[Service]:
        """Services that should already do what this bundle wants, and do not; but for those that change anyway."""
        node, found = self._node, set()
        for service in (each for each in self._bundle.services if each not in touched):
            in_kernel = service in changes.KERNEL
            if ailing(node, self._bundle, service) if in_kernel else base.healthy(node, self._bundle, service):
                found.add(service)
        return found

    def _attempt(self) -> None:
        bundle, journal, generations, step = self._bundle, self._journal, self._generations, self._steps.step
        with step("stage") as remark:
            name, fresh = generations.name_for(bundle)
            journal.append(
                Begin(
                    attempt=self._attempt_name,
                    node=bundle.node,
                    digest=bundle.digest,
                    old=self._old_name,
                    new=name,
                    fresh=fresh,
                )
            )
            in_the_way = (*self._foreign_units, *self._foreign, *self._drifted)
            self._adopted = set_aside(in_the_way, self._node.places, self._attempt_name)
            if fresh:
                generations.stage(bundle, name)
            self._carry_state(name)
            self._prepare()
            staging.create_state_files(self._node, bundle)
            remark.text = f"generation {name}"
        self._kernel.prepare()
        self._validate(generations.folder(name))
        self._install_units()
        if loads := Service.NFTABLES in (*self._changes.touched, *self._changes.leaving):
            self._kernel.note_nftables()
        with step("swap"):
            generations.prepare_swap(name, self._old_name)
            aside = {str(p): str(p.with_name(f".aside-{self._attempt_name}-{p.name}")) for p in self._foreign}
            journal.append(Swapping(aside=aside))
            generations.swap(bundle.services, aside)
        for service in self._changes.stopping:
            with step(f"stop {service}"):
                self._touch(service)
                self._node.manager.stop(service)
        if loads:
            self._kernel.load_nftables()
        for service in self._changes.daemons:
            if service is Service.KEEPALIVED:  # at the last moment: what is added fits the new base weights
                overrides.put(self._node.places, bundle)
            if service is Service.HAPROXY:
                pool_overrides.put_states(self._node.places, bundle, overrides.read(self._node.places), overrides.now())
            self._bring_up(service)
        self._kernel.settle()
        self._tell(Progress.APPLIED)
        with step("verify the whole"):
            self._verify_untouched()
            journal.append(Verified())

    def _validate(self, folder: Path) -> None:
        for service in self._changes.touched:
            if service in (Service.SYSCTL, Service.NETWORK):
                continue
            with self._steps.step(f"validate {service}") as remark:
                if service is Service.NFTABLES:
                    remark.text = nftables.validate(self._node.host, self._bundle)
                else:
                    base.ensure_folders(self._node.places, service)
                    remark.text = DAEMONS[service].validate(self._node, folder / service)
                if service is Service.HAPROXY:
                    self._refuse_taken_ports(service)
        with translated():
            self._journal.append(Validated())
        with self._turn.marks_meanwhile():  # whoever is told may wait for others, and servers come and go until then
            self._tell(Progress.WRITTEN)
        with translated():
            self._carry_state(folder.name)

    def _carry_state(self, name: str) -> None:
        read_anew = Service.NGINX in self._changes.touched
        staging.carry_state(self._node, self._generations, self._bundle, name, read_anew=read_anew)

    def _refuse_taken_ports(self, service: Service) -> None:
        """A HAProxy that finds a port taken closes its old listeners for two seconds while it tries: ask before."""
        taken = base.taken_listeners(self._node, self._bundle, service)
        if taken:
            names = ", ".join(f"{each.address} port {each.port}" for each in taken)
            raise ValidationFailed(
                Sentence(
                    "another program listens on %(names)s already, so %(service)s could not",
                    names=names,
                    service=service,
                ),
                "stop that program (ss -ltnp names it), or choose another port",
            )

    def _install_units(self) -> None:
        """Also those of services that leave: they must be stopped, and may have to come back."""
        if self._node.units is None:
            return
        with self._steps.step("install units") as remark:
            adopted = zip(map(str, self._foreign_units), self._adopted, strict=False)  # the first ones, see set_aside
            self._journal.append(UnitsBefore(adopted=dict(adopted)))
            services = [*self._bundle.services, *self._changes.leaving]
            remark.text = self._node.units.install(services)

    def _touch(self, service: Service) -> bool:
        running = self._node.manager.status(service).running
        self._journal.append(Touching(service=service, was_running=running))
        self._was_running[service] = running
        return running

    def _bring_up(self, service: Service) -> None:
        manager, daemon = self._node.manager, DAEMONS[service]
        before = daemon.observe(self._node, self._old)
        with self._steps.step(f"{'reload' if before.running else 'start'} {service}"):
            if self._touch(service):
                base.order_reload(self._node, service)
            else:
                manager.start(service)
        with self._steps.step(f"verify {service}") as remark:
            remark.text = daemon.verify(self._node, self._bundle, before)
        if service is Service.KEEPALIVED:
            self._carry_thresholds()

    def _carry_thresholds(self) -> None:
        if not self._bundle.expected.virtual_servers:
            return
        with self._steps.step("carry thresholds") as remark:
            remark.text = ", ".join(thresholds.carry(self._node, self._bundle)) or "as they should be"

    def _verify_untouched(self) -> None:
        for service in self._bundle.services:
            if service in changes.KERNEL:
                continue
            if why := base.healthy(self._node, self._bundle, service):
                raise ApplyError(Sentence("after the change %(why)s", why=why), "it worked before: read its log")
        self._kernel.verify()

    def _commit(self) -> ApplyReport:
        action = decide(self._journal.entries)
        notes: tuple[str, ...] = ()
        if isinstance(action, Finish):
            try:
                with self._steps.step("commit") as remark:
                    remark.text = undo.finish(self._node, self._generations, self._journal, action.attempt)
            except HoldfastError as error:
                notes = (f"the new state runs and is verified; its book-keeping follows with the next run: {error}",)
        return self._report(Outcome.COMMITTED, notes=notes)

    def _undo(self, error: HoldfastError | KeyboardInterrupt) -> ApplyReport:
        action = decide(self._journal.entries)
        if isinstance(action, Finish):  # interrupted after everything was verified
            return self._commit()
        if not isinstance(action, RollBack):
            return self._report(Outcome.REFUSED, error)
        trouble = undo.put_back(
            self._node, self._generations, self._journal, action.attempt, self._steps, str(error) or INTERRUPTED
        )
        if trouble:
            told = failure(error)
            both = Sentence("%(first)s; and %(next)s", first=told.told, next=_broken(trouble).message)
            return self._report(Outcome.BROKEN, ApplyError(both, _broken(trouble).hint, told.program_line))
        return self._report(_outcome_of(action.attempt), error)

    def _report(
        self,
        outcome: Outcome,
        error: HoldfastError | KeyboardInterrupt | None = None,
        notes: tuple[str, ...] = (),
    ) -> ApplyReport:
        stopped = self._changes.stopping
        done = {service: running for service, running in self._was_running.items() if service not in stopped}
        return ApplyReport(
            node=self._bundle.node,
            outcome=outcome,
            digest=self._bundle.digest,
            previous_digest=self._old.digest if self._old else None,
            stages=self._steps.reports,
            failure=failure(error) if error is not None else None,
            reloaded=tuple(service for service, running in done.items() if running),
            started=tuple(service for service, running in done.items() if not running),
            stopped=tuple(service for service in stopped if service in self._was_running),
            adopted=self._adopted,
            notes=notes,
        )


def _outcome_of(attempt: Attempt) -> Outcome:
    """An attempt that never swapped has touched nothing that runs (sysctls are put back as they were)."""
    return Outcome.ROLLED_BACK if attempt.swapping is not None else Outcome.REFUSED


def _refused_by(finding: Finding) -> Sentence:
    where = finding.location or Sentence("the bundle")
    said = Sentence("%(where)s: %(code)s: %(what)s", where=where, code=finding.code, what=finding.message)
    return Sentence("%(what)s (%(hint)s)", what=said, hint=finding.hint) if finding.hint else said


def _refuse_inadmissible(bundle: Bundle, findings: tuple[Finding, ...]) -> None:
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise PolicyRefused(
            Sentence(
                "this node does not admit the bundle: %(errors)s", errors=joined([_refused_by(one) for one in errors])
            ),
            "change the spec, or have the node's own policy allow it",
        )
    for path in bundle.state_files:
        if not path.startswith((f"{STATE_DIR}/", f"{RUN_DIR}/")) or ".." in path.split("/"):
            raise PolicyRefused(
                Sentence("the bundle wants a state file at %(path)s", path=path),
                Sentence("they belong below %(folder)s", folder=STATE_DIR),
            )
