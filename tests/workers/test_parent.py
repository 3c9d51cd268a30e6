"""What a child inherits: no ear for Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from app.workers.parent import deaf_to_interrupts

BLOCKED = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no masks of signals")
def test_children_do_not_hear_an_interrupt_and_we_do() -> None:
    def child() -> str:
        done = subprocess.run(
            [sys.executable, "-S", "-c", BLOCKED], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    with deaf_to_interrupts():
        inside = child()
    assert (inside, child()) == ("True", "False")
    started: list[bool] = []

    def interrupted() -> None:
        with deaf_to_interrupts():
            signal.raise_signal(signal.SIGINT)
            started.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert started, "it comes when the child has been started"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no masks of signals")
def test_an_interrupt_that_another_thread_takes_waits_as_well() -> None:
    """The mask is that of one thread; the terminal's signal goes to any other, and Python raises it in the main one."""
    begin, taken = threading.Event(), threading.Event()

    def other() -> None:
        begin.wait(10)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        taken.set()

    thread = threading.Thread(target=other)
    thread.start()
    started: list[bool] = []

    def interrupted() -> None:
        with deaf_to_interrupts():
            begin.set()
            taken.wait(10)
            sum(range(1000))  # the handler runs between two instructions
            started.append(True)

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        begin.set()
        thread.join()
    assert started
