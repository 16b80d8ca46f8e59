"""A command in a machine that does not answer any more: whoever ends it is told so. Here, without a machine."""

from __future__ import annotations

import subprocess
import sys

from tests.vm.test_loaded import LOADS_S

# The machine's end takes everything, and says nothing; Ctrl-C comes once the order has arrived there.
STUCK = """
import os, signal, socket, threading, time
from holdfast.errors import LabError
from holdfast.lab.vm import relay
from holdfast.lab.vm.channel import Channel

relay._CLEANING_UP_S = relay._KILLED_S = 0.2
near, far = socket.socketpair()

def machine():
    far.recv(1 << 16)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
    while far.recv(1 << 16):
        pass

threading.Thread(target=machine, daemon=True).start()
channel = Channel(near, lambda: LabError("gone"))
try:
    relay.relay(channel, ["sleep", "100"], {}, interactive=False)
except LabError as error:
    print(error.message, error.hint)
"""


def test_what_is_killed_in_a_machine_that_does_not_say_so_is_told_and_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=LOADS_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "was killed, and that is not told within 0.2 s" in done.stdout
    assert "holdfast lab down" in done.stdout
