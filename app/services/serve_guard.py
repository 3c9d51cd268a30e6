"""Who may ask the local API: programs on this machine that know the token, and no web page whatever it tries.

A browser on this machine can be made to send requests here (a page's script, or a name that suddenly resolves to
127.0.0.1). So the Host header must name this server itself, a request that says it comes from another site is refused,
and everything but the description needs a token that no page can know.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from m2hf_core.aside import write_aside
from m2hf_core.errors import KnownError, UsageError

OPEN_PATHS = ("/openapi.json",)
METHODS = ("GET", "HEAD")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'"),
]


class Guard:
    """ASGI middleware: refuses before anything else sees the request."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token.encode()
        names = ("127.0.0.1", "localhost", "[::1]")
        self._hosts = {f"{name}:{port}".encode() for name in names}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets: uvicorn then answers 403 by itself

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        refused = self._refusal(scope)
        await (refused or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        def all_of(name: bytes) -> list[bytes]:
            return [value for key, value in scope["headers"] if key == name]

        hosts, origins = all_of(b"host"), all_of(b"origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return _no(
                421, "This server answers only to its own address.", "Ask http://127.0.0.1 and its port."
            )
        if any(origin.lower() not in self._origins for origin in origins):
            return _no(403, "Web pages may not ask this server.")
        if any(site.lower() not in (b"same-origin", b"none") for site in all_of(b"sec-fetch-site")):
            return _no(403, "Web pages may not ask this server.")
        if scope["method"] not in METHODS:
            return _no(405, "This server only answers; nothing can be changed through it.", "Use GET.")
        if scope["path"] in OPEN_PATHS:
            return None
        given = all_of(b"authorization")
        if len(given) != 1 or not hmac.compare_digest(given[0], b"Bearer " + self._token):
            return _no(401, "The token is missing or wrong.", "Send the header Authorization: Bearer TOKEN.")
        return None


def _no(status: int, sentence: str, hint: str = "") -> ASGIApp:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": sentence, "hint": hint}, status, headers)


def loopback(host: str) -> str:
    """The address to listen on. Raises `UsageError` for one that other machines could reach."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(f"{host!r} is no address of this machine.", "Use 127.0.0.1 or ::1.") from None
    if str(address) not in ("127.0.0.1", "::1"):
        raise UsageError(
            f"{host} could be reached from outside.",
            "The API is for this machine only: use 127.0.0.1 or ::1.",
        )
    return str(address)


def read_token(file: Path, new: bool) -> tuple[str, bool]:
    """The token in `file`, readable by its owner alone, made when there is none; and whether it was made now."""
    try:
        if not new and file.is_file():
            if os.name == "posix" and file.stat().st_mode & 0o077:
                file.chmod(0o600)
            token = file.read_text(encoding="ascii").strip()
            if len(token) >= 32:
                return token, False
        token = secrets.token_urlsafe(32)
        write_aside(file, f"{token}\n".encode(), private=True)
    except (OSError, UnicodeDecodeError) as error:
        raise KnownError(
            f"The token file {file} cannot be read or written.", "Delete it, and try again.", str(error)
        ) from error
    return token, True
