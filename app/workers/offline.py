"""Cuts a process off from the network where `M2HF_OFFLINE` is set: what is said to need none is tried without."""

from __future__ import annotations

import ipaddress
import os
import sys

VARIABLE = "M2HF_OFFLINE"


class NetworkUsed(RuntimeError):  # noqa: N818 - what happened, not an error of ours
    """Something wanted to leave this machine although it was told not to."""


def cut_off_if_asked() -> None:
    """From now on connecting and looking up names raise `NetworkUsed`, but for this machine itself."""
    if os.environ.get(VARIABLE):
        sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _allow_only_this_machine(arguments[1])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        _allow_only_this_machine((arguments[0],))


def _allow_only_this_machine(address: object) -> None:
    if not isinstance(address, tuple):
        return  # a path: a socket of this machine
    host = address[0]
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return
    try:
        here = ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        here = False
    if not here:
        raise NetworkUsed(f"{host} was to be reached, although {VARIABLE} is set")
