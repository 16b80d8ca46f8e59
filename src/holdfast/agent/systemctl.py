"""Talks to systemd by its own program, whose failures become sentences."""

from __future__ import annotations

import subprocess

from holdfast.bundle import Service
from holdfast.errors import ApplyError, MissingProgram
from holdfast.sentences import Sentence

_TIMEOUT_S = 30.0
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "SYSTEMD_COLORS": "0"}


class Systemctl:
    """`program` is other than systemctl only in tests."""

    def __init__(self, program: str = "systemctl") -> None:
        self._program = program

    def order(self, verb: str, *arguments: str) -> None:
        """Have something done; raises ApplyError where systemd refuses, with the first line that it says."""
        done = self.call(verb, *arguments)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            what = " ".join([verb, *(word for word in arguments if not word.startswith("-"))])
            units = [word for word in arguments if word.endswith(".service")]
            raise ApplyError(
                Sentence(
                    "systemd refused to %(what)s: %(reason)s", what=what, reason=said[0] if said else done.returncode
                ),
                Sentence("look at `systemctl status %(units)s`", units=" ".join(units))
                if units
                else "look at systemd's journal",
            )

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Whatever it answers; raises MissingProgram, or ApplyError where it does not answer in time."""
        try:
            return subprocess.run(
                [self._program, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
                env=_ENVIRONMENT,
            )
        except FileNotFoundError as error:
            raise MissingProgram(
                Sentence("%(program)s is not installed", program=self._program),
                "run the supervisor: python3 -m holdfast.agent.supervisor",
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ApplyError(
                Sentence("systemctl does not answer: %(error)s", error=error), "look at systemd's journal"
            ) from error


def unit_name(service: Service) -> str:
    """The unit that runs a service."""
    return f"holdfast-{service.value}.service"
