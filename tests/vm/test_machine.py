"""A virtual machine: several commands at once, their streams and signals, and nothing of it left when it is gone."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.processes import Process
from holdfast.lab.vm.machine import Machine
from holdfast.lab.vm.power import remove_orphans

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh")
PATIENCE_S = 120.0

pytestmark = pytest.mark.xdist_group("machine")


class Said:
    """What a command has written so far, and when."""

    def __init__(self) -> None:
        self.text = {1: b"", 2: b""}
        self._more = threading.Condition()

    def __call__(self, descriptor: int, data: bytes) -> None:
        with self._more:
            self.text[descriptor] += data
            self._more.notify_all()

    def wait_for(self, wanted: bytes, descriptor: int = 1) -> None:
        """Until it has written `wanted`."""
        with self._more:
            assert self._more.wait_for(lambda: wanted in self.text[descriptor], PATIENCE_S), self.text


def test_status_output_errors_and_input(vm: Machine) -> None:
    done = vm.run(["sh", "-c", "cat; echo wrong >&2; exit 3"], input="hello\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "hello\n", "wrong\n")


def test_what_a_signal_ends_has_the_shells_status(vm: Machine) -> None:
    assert vm.run(["sh", "-c", "kill -KILL $$"]).returncode == 128 + 9


def test_a_program_that_is_missing_is_named(vm: Machine) -> None:
    done = vm.run(["no-such-program"])
    assert done.returncode == 127
    assert done.stderr == "no-such-program: No such file or directory\n"


def test_output_comes_while_the_command_still_runs(vm: Machine) -> None:
    said = Said()
    command = vm.start(["sh", "-c", "echo first; read line; echo second $line"], on_output=said)
    said.wait_for(b"first\n")
    assert said.text[1] == b"first\n"
    command.send(b"word\n")
    assert command.wait(PATIENCE_S) == 0
    assert said.text[1] == b"first\nsecond word\n"


def test_large_streams_arrive_whole_both_ways(vm: Machine) -> None:
    sent = "".join(f"{number}\n" for number in range(120_000))
    assert vm.run(["cat"], input=sent, timeout=PATIENCE_S).stdout == sent


def test_a_command_that_writes_without_end_holds_no_other_up(vm: Machine) -> None:
    endless = vm.start(["yes"])
    assert vm.run(["echo", "through"], timeout=PATIENCE_S).stdout == "through\n"
    endless.signal(signal.SIGKILL)
    assert endless.wait(PATIENCE_S) == 128 + 9


def test_two_commands_at_once(vm: Machine) -> None:
    """Each waits for a word that is given only once both have started."""
    said = Said(), Said()
    both = [vm.start(["sh", "-c", "echo here; read word; echo $word"], on_output=heard) for heard in said]
    for heard in said:
        heard.wait_for(b"here\n")
    for command, word in zip(both, (b"one\n", b"two\n"), strict=True):
        command.send(word)
    assert [command.wait(PATIENCE_S) for command in both] == [0, 0]
    assert [heard.text[1] for heard in said] == [b"here\none\n", b"here\ntwo\n"]


def test_a_signal_reaches_all_of_the_command(vm: Machine) -> None:
    said = Said()
    script = "trap 'echo caught; exit 7' INT; sleep 300 & echo ready; wait"
    command = vm.start(["bash", "-c", script], on_output=said)
    said.wait_for(b"ready\n")
    command.signal(signal.SIGINT)
    assert command.wait(PATIENCE_S) == 7
    assert b"caught" in said.text[1]


def test_a_command_that_takes_too_long_is_killed(vm: Machine) -> None:
    with pytest.raises(LabError, match="did not end within 1 s"):
        vm.run(["sleep", "298.5"], timeout=1)
    deadline = time.monotonic() + PATIENCE_S
    while vm.run(["pgrep", "-f", "^sleep 298.5"]).returncode == 0:
        assert time.monotonic() < deadline


def test_an_orphan_that_keeps_the_output_open_does_not_hold_its_parents_end_up(vm: Machine) -> None:
    began = time.monotonic()
    done = vm.run(["sh", "-c", "sleep 250 & echo $!"], timeout=PATIENCE_S)
    assert time.monotonic() - began < 100
    vm.run(["kill", done.stdout.strip()], check=True)


def test_a_terminal_with_its_size_colours_and_keys(vm: Machine) -> None:
    said = Said()
    script = "stty size; tty -s && echo is-one; read word; echo got $word; stty size; echo waiting; read"
    command = vm.start(["bash", "-c", script], on_output=said, terminals=(0, 1, 2), window=(31, 97))
    said.wait_for(b"is-one")
    assert said.text[1].startswith(b"31 97\r\n")
    command.resize(40, 120)
    command.send(b"word\n")
    said.wait_for(b"waiting")
    assert b"got word\r\n40 120\r\n" in said.text[1]
    command.send(b"\x03")  # Ctrl-C, as a key
    assert command.wait(PATIENCE_S) == 128 + 2


def test_standard_output_stays_clean_where_only_the_errors_are_a_terminal(vm: Machine) -> None:
    """`holdfast rehearse --json >file`: progress on the terminal, the document in the file."""
    said = Said()
    script = "test -t 2 && echo progress >&2; test -t 1 || echo document"
    assert vm.start(["bash", "-c", script], on_output=said, terminals=(2,)).wait(PATIENCE_S) == 0
    assert said.text == {1: b"document\n", 2: b"progress\r\n"}


def test_files_come_out_through_the_share_alone(vm: Machine, tmp_path: Path) -> None:
    inside = tmp_path / "written-inside"
    vm.run(["sh", "-c", f"echo out >/run/holdfast-vm/result; echo in >{inside}; cat {inside}"], check=True)
    assert (vm.share / "result").read_text() == "out\n"
    assert not inside.exists()


def test_the_owners_files_are_there_and_cannot_be_changed(vm: Machine, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("as it was")
    assert vm.run(["cat", str(mine)], check=True).stdout == "as it was"
    vm.run(["sh", "-c", f"echo changed >{mine}; rm -f {Path(__file__).parent}/nothing"], check=True)
    assert mine.read_text() == "as it was"


def test_the_kernel_has_all_schedulers_and_tunnels(vm: Machine) -> None:
    modules = [*(f"ip_vs_{name}" for name in SCHEDULERS), "ipip", "ip6_tunnel", "ip_gre", "ip6_gre", "fou", "sctp"]
    vm.run(["modprobe", "--all", "ip_vs", *modules, "dummy", "sch_netem"], check=True)
    loaded = set(vm.run(["lsmod"], check=True).stdout.split())
    assert set(modules) <= loaded
    assert Path("/proc/net/ip_vs").name in vm.run(["ls", "/proc/net"]).stdout.split()


# ---- ends


OWNER = """
import sys, time
from holdfast.lab.vm.machine import Machine
with Machine.boot() as machine:
    print(machine.pid, machine.share.parent, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_machine_outlives_its_owner(vm_possible: None, how: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout is not None
    try:
        ready, _, _ = select.select([owner.stdout], [], [], 240)
        assert ready
        pid, folder = owner.stdout.readline().split()
        qemu = Process.of(int(pid))
        assert qemu is not None
        owner.send_signal(how)
        owner.wait(60)
        deadline = time.monotonic() + 60
        while qemu.alive:
            assert time.monotonic() < deadline, "qemu lives on"
            time.sleep(0.02)
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    if how is signal.SIGINT:
        assert not Path(folder).exists()
    else:
        remove_orphans(state.BASE)  # what the next boot does first
        assert not Path(folder).exists()


def test_a_guest_that_crashes_is_reported_in_a_sentence(vm_possible: None) -> None:
    with Machine.boot() as machine:
        folder = machine.share.parent
        with pytest.raises(LabError, match=r"has stopped: Kernel panic .*sysrq triggered crash") as raised:
            machine.run(["sh", "-c", "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 60"])
        assert raised.value.hint.startswith("its last words: ")
        with pytest.raises(LabError, match="has stopped"):
            machine.run(["true"])
    assert not folder.exists()


def test_a_machine_that_does_not_come_up_leaves_nothing(vm_possible: None) -> None:
    before = set(state.BASE.glob(".vm-*"))
    with pytest.raises(LabError, match=r"did not come up within 0\.5 s"):
        Machine.boot(timeout=0.5)
    assert set(state.BASE.glob(".vm-*")) <= before


# ---- a clock of its own

LOOK_AT_THE_CLOCK = """
import time
print("begun", flush=True)
longest, end, last = 0.0, time.monotonic() + 2, time.monotonic()
while last < end:
    now = time.monotonic()
    longest, last = max(longest, now - last), now
print(longest)
"""


def processor_s(pid: int) -> float:
    """What a process has had of the processors, however busy they are."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_a_clock_of_its_own_hurries_through_waits_and_stands_still_with_the_machine(vm: Machine) -> None:
    before = processor_s(vm.pid)
    vm.run(["sleep", "60"], check=True, timeout=PATIENCE_S)
    assert processor_s(vm.pid) - before < 30
    said = Said()
    looking = vm.start([sys.executable, "-I", "-S", "-c", LOOK_AT_THE_CLOCK], on_output=said)
    said.wait_for(b"begun\n")
    os.kill(vm.pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(vm.pid, signal.SIGCONT)
    assert looking.wait(PATIENCE_S) == 0
    assert float(said.text[1].split()[1]) < 1
