"""One HTTP download that survives interruptions: the only code of the program that opens a connection."""

from __future__ import annotations

import http
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from m2hf_core.errors import KnownError
from m2hf_core.hub.place import stream
from m2hf_core.progress import Progress

TIMEOUT_S = 30.0
OFFLINE_SWITCHES = ("M2HF_OFFLINE", "HF_HUB_OFFLINE")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
HOPS = 5
"""A repository that was renamed answers with a redirection on the same host."""


class _StaysPut(urllib.request.HTTPRedirectHandler):
    """Hands a redirection out instead of following it: what the hub states stands in that answer."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def refuse_if_offline() -> None:
    """Raise `KnownError` when the person has switched the network off."""
    for switch in OFFLINE_SWITCHES:
        if os.environ.get(switch, "").strip().lower() in ("1", "true", "yes", "on"):
            raise KnownError(
                f"Nothing was fetched, because {switch} switches the network off.",
                f"Unset {switch}, or bring the files by hand with `m2hf-app models import FOLDER`.",
            )


def fetch(url: str, part: Path, progress: Progress) -> None:
    """Bring `part` to the full length of what is at `url`, continuing what is there already.

    A connection that breaks is opened again as long as each attempt brings something. Raises `KnownError` with the
    reason, `DiskFull`, or `Interrupted`; `part` stays for the next time.
    """
    while True:
        before = _size(part)
        try:
            if _fetch_once(url, part, progress):
                return
        except (http.client.HTTPException, OSError) as error:  # cut, reset, timed out, or broken TLS
            if _size(part) <= before:
                raise _unreachable(url, repr(error)) from error
        else:
            if _size(part) <= before:
                raise _unreachable(url, "the connection closes before the file is whole")


def stated_digest(url: str, revision: str) -> str:
    """The SHA-256 that the Hugging Face Hub states of the file at `url`, as it was at that revision.

    Raises `KnownError` when it states none, states it of another revision, or cannot be reached.
    """
    opener = urllib.request.build_opener(_StaysPut)
    here = url
    for _ in range(HOPS):
        with _ask(opener, here) as response:
            headers = response.headers
        digest: str = headers.get("X-Linked-Etag", "").strip('"')
        if digest or "Location" not in headers:
            break
        target = urllib.parse.urljoin(here, headers["Location"])
        if urllib.parse.urlsplit(target).netloc != urllib.parse.urlsplit(url).netloc:
            break
        here = target
    if not re.fullmatch("[0-9a-f]{64}", digest) or headers.get("X-Repo-Commit") != revision:
        raise KnownError(
            f"The publisher states no checksum of {url}, so it was not fetched.",
            "Get the file in a browser and bring it with `m2hf-app models import FOLDER`.",
            f"x-linked-etag {digest!r}, x-repo-commit {headers.get('X-Repo-Commit')!r}",
        )
    return digest


def _ask(opener: urllib.request.OpenerDirector, url: str) -> Any:
    """The answer's headers; a redirection is an answer too."""
    try:
        return opener.open(_request(url, "HEAD"), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code in range(300, 400):
            return error
        error.close()
        raise _refused(url, error.code) from error
    except urllib.error.URLError as error:
        raise _unreachable(url, str(error.reason)) from error
    except (http.client.HTTPException, OSError) as error:
        raise _unreachable(url, repr(error)) from error


def _fetch_once(url: str, part: Path, progress: Progress) -> bool:
    """One request; whether the file is whole afterwards."""
    begin = _size(part)
    with _open(url, begin) as response:
        if response.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if _total(response) == begin:
                return True
            part.unlink()  # longer than the file, or of another one
            return _fetch_once(url, part, progress)
        continued = response.status == http.HTTPStatus.PARTIAL_CONTENT
        begin = begin if continued else 0
        length = response.headers.get("Content-Length")
        total = begin + int(length) if length else 0
        progress.update(begin, total)
        stream(response, part, progress, "ab" if continued else "wb")
    return total == 0 or _size(part) >= total


def _open(url: str, begin: int) -> Any:
    """The response; a refused range is one too, every other failure is explained."""
    request = _request(url, "GET")
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310 - `_request` checked it
    except urllib.error.HTTPError as error:
        if begin and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error
        error.close()
        raise _refused(url, error.code) from error
    except urllib.error.URLError as error:
        raise _unreachable(url, str(error.reason)) from error


def _request(url: str, method: str) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ValueError(f"weights are fetched over https only, not from {url}")
    headers = {"User-Agent": "m2hf-app"}
    return urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - checked above


def _refused(url: str, code: int) -> KnownError:
    by_hand = "Get the file in a browser and bring it with `m2hf-app models import FOLDER`."
    if code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
        return KnownError(f"There is no file at {url} any more.", by_hand, f"HTTP {code}")
    if code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return KnownError(
            f"The publisher does not hand out {url} without signing in.", by_hand, f"HTTP {code}"
        )
    return KnownError(f"The server answered {code} for {url}.", "Try again later.", f"HTTP {code}")


def _unreachable(url: str, detail: str) -> KnownError:
    host = urllib.parse.urlsplit(url).hostname
    return KnownError(
        f"The file could not be fetched from {host}: the connection failed.",
        "Check the connection and start again; what has arrived is kept.",
        detail,
    )


def _total(response: Any) -> int | None:
    """The length of the whole file, from `Content-Range: bytes */1234`."""
    _, _, total = (response.headers.get("Content-Range") or "").partition("/")
    return int(total) if total.isdigit() else None


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
