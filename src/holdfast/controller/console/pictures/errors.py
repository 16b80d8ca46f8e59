"""What each kind of error means, for who reads another language than the one in which it says its names and numbers."""

from __future__ import annotations

from collections.abc import Mapping

from ..words import N_

# By the code that the API gives it. What has no words of its own is said by what it is a kind of.
EXPLAINED: Mapping[str, str] = {
    "holdfast_error": N_("Something went wrong."),
    "usage_error": N_("What was asked for cannot be done like this."),
    "spec_error": N_("The spec has mistakes."),
    "compile_error": N_("One of the programs cannot do what the spec asks for."),
    "plan_refused": N_("This was refused before anything was touched."),
    "state_forbids": N_("How things are now does not allow this: nothing was touched."),
    "apply_error": N_("The node could not be brought to the wanted state."),
    "policy_refused": N_("The node's own policy does not allow this."),
    "not_ours": N_("A file that Holdfast did not write is in the way."),
    "missing_module": N_("The node's kernel lacks a module."),
    "validation_failed": N_("A program refused its new configuration; the old one was not touched."),
    "verification_failed": N_("A program took its new configuration, but does not do what was expected of it."),
    "rollout_failed": N_("The rollout stopped before its end."),
    "lab_error": N_("The lab could not be built or reached."),
    "store_error": N_("The store could not do what it was asked."),
    "conflict": N_("Somebody else was first: nothing was written."),
    "outdated": N_("This was made from a revision that is not the newest any more: nothing was written."),
    "lease_lost": N_("The lease has expired: nothing was written."),
    "store_unavailable": N_("It cannot be done at this moment: nothing was written. Later it may work."),
    "store_unsure": N_("The connection to the store broke: it may have happened or not. Look before you do it again."),
    "store_full": N_("The store has no room for this: nothing was written."),
    "store_damaged": N_("Something in the store cannot be read any more."),
    "bundle_not_whole": N_("What is kept of a bundle is not what was written."),
    "not_authenticated": N_("You are not logged in, or not any more."),
    "too_many_attempts": N_("There were too many attempts. Wait a moment."),
    "not_permitted": N_("You may not do this."),
    "not_found": N_("What was asked for is not there."),
    "enrolment_refused": N_("The node was not let in: its token or its request is not accepted."),
    "authority_changed": N_("A controller shows another certificate authority than the one that is known."),
    "controller_unreachable": N_("No controller answered. What runs on the nodes goes on."),
    "not_taken": N_("The controller did not take what was sent."),
    "seal_broken": N_("Something sealed cannot be opened with the key that is there."),
    "table_unreadable": N_("The kernel's IPVS table cannot be read."),
    "missing_program": N_("A program that is needed is not installed."),
}


def explained(code: str) -> str:
    """What an error of this code means."""
    return EXPLAINED.get(code, EXPLAINED["holdfast_error"])
