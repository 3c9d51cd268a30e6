"""The local API: search, captions, similar, status and pictures over HTTP, for programs on this machine.

It reads the library and changes nothing. One thread answers everything that needs the gallery, one request after the
other, as in the window; more than a few that wait are refused rather than piled up. A changed library is loaded beside
that thread, so that answers go on over the old one while videos are indexed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.services.captions import CaptionSearch
from app.services.documents import captions_json, search_json
from app.services.errands import Errands
from app.services.library import Library
from app.services.live import LiveSearch, State
from app.services.searching import Searcher
from app.services.similar import find_similar
from app.services.status import library_status
from app.services.targets import split_target
from m2hf_core.errors import BadQuery, KnownError, UsageError
from m2hf_core.store import files

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import FileResponse, JSONResponse, Response
    from starlette.routing import Route

    from app.services.serve_guard import Guard, loopback, read_token
    from app.services.serve_openapi import OPERATIONS, openapi
    from app.services.serve_protocol import JsonProtocol
except ImportError as error:
    raise KnownError(
        "The API's packages are not installed.", "Install them: pip install 'm2hf-app[serve]'", str(error)
    ) from error

MOST_WAITING = 16
MOST_CONNECTIONS = 64
PICTURE_TIMEOUT_S = 60.0
LONGEST_HEAD = 64 << 10
"""Bytes of a request's line and headers: ten thousand characters of query, each as %XX of up to four bytes."""

log = logging.getLogger(__name__)
Ready = Callable[[str, str | None, str], None]


class Api:
    """The operations behind the routes; `close` it."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._opened: Future[None] = Future()
        self._errands = Errands(library.paths.data, library.preset.id)
        self._live = LiveSearch(library, lambda _: None, on_state=self._hear)
        self._captions: CaptionSearch | None = None
        self._waiting = 0

    def close(self) -> None:
        self._errands.close()
        self._live.close()

    def warm(self) -> None:
        """Wait until the gallery and the text tower are loaded. Raises `KnownError` when they cannot be."""
        self._opened.result()

    def _hear(self, state: State, reason: Exception | None) -> None:
        """Runs in the search thread. Only the first opening decides `warm`; afterwards the former gallery serves on."""
        if reason is not None:
            log.warning("the library could not be loaded", exc_info=reason)
        if self._opened.done():
            return
        if reason is not None:
            self._opened.set_exception(reason)
        elif state == "ready":
            self._opened.set_result(None)

    async def answer(self, name: str, request: Request) -> Response:
        """One request to an operation; what went wrong becomes a status and a sentence."""
        try:
            query = {key: request.query_params.getlist(key) for key in request.query_params}
            return await self._do(name, OPERATIONS[name].read(query))
        except (UsageError, BadQuery) as error:
            return _refused(400, error)
        except BusyError as error:
            return _refused(503, error)
        except KnownError as error:
            return _refused(422, error)
        except TimeoutError:
            return _refused(503, BusyError("The picture took too long.", "Ask again, with fewer at a time."))

    async def _do(self, name: str, given: dict[str, Any]) -> Response:
        if name == "thumbnail":
            return await self._thumbnail(given)
        work: Callable[[Searcher], dict[str, object]] = {
            "search": lambda searcher: _search(given, searcher),
            "captions": lambda searcher: self._nearest(given, searcher),
            "similar": lambda searcher: self._similar(given, searcher),
            "status": lambda _: library_status(self.library).document(),
        }[name]
        if self._waiting >= MOST_WAITING:
            raise BusyError("Too many requests are waiting.", "Send them one after the other.")
        self._waiting += 1
        try:
            return JSONResponse(await asyncio.wrap_future(self._live.call(work)))
        finally:
            self._waiting -= 1

    def _nearest(self, given: dict[str, Any], searcher: Searcher) -> dict[str, object]:
        self._captions = self._captions.over(searcher) if self._captions else CaptionSearch(searcher)
        return captions_json(self._captions.nearest(_target(given), **given))

    def _similar(self, given: dict[str, Any], searcher: Searcher) -> dict[str, object]:
        if ("video" in given) == ("image" in given):
            raise UsageError("Give either a video or an image.")
        image = given.pop("image", None)
        target = _target(given) if image is None else image

        def encode(path: Path) -> Any:
            return self._errands.encode_image(path).result()

        return search_json(find_similar(searcher, target, encode, **given))

    async def _thumbnail(self, given: dict[str, Any]) -> Response:
        path, _ = split_target(given["video"])
        with self.library.store.library.reading() as session:
            if files.video_of_path(session, path) is None:
                raise KnownError(f"{path} is not in this library.", "Pictures are of indexed videos only.")
        future = self._errands.thumbnail(path, given.get("at", 0.0), given.get("side", 320))
        picture = await asyncio.wait_for(asyncio.wrap_future(future), PICTURE_TIMEOUT_S)
        return FileResponse(picture, media_type="image/jpeg")


class BusyError(KnownError):
    """Too much is waiting."""


def _search(given: dict[str, Any], searcher: Searcher) -> dict[str, object]:
    explain = given.pop("explain", "0") == "1"
    return search_json(searcher.search(given.pop("q"), explain=explain, **given), explain=explain)


def _target(given: dict[str, Any]) -> str:
    """`VIDEO@SECONDS`, as the command line takes it."""
    video, at_s = given.pop("video"), given.pop("at", None)
    return str(video) if at_s is None else f"{video}@{at_s!r}"


def _refused(status: int, error: KnownError) -> JSONResponse:
    return JSONResponse({"error": error.sentence, "hint": error.hint}, status)


def build_app(api: Api, token: str, port: int) -> Guard:
    """The ASGI application with everything that guards it."""
    described = openapi(f"http://127.0.0.1:{port}", version("m2hf-app"))

    def endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def run(request: Request) -> Response:
            return await api.answer(name, request)

        return run

    async def describe(_: Request) -> Response:
        return JSONResponse(described)

    async def unknown(_: Request, __: Exception) -> Response:
        return JSONResponse({"error": "There is nothing here.", "hint": "See /openapi.json."}, 404)

    async def failed(_: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return JSONResponse(
            {"error": "The program failed on this request.", "hint": "Please report it."}, 500
        )

    routes = [Route(operation.path, endpoint(name)) for name, operation in OPERATIONS.items()]
    inner = Starlette(
        routes=[Route("/openapi.json", describe), *routes],
        exception_handlers={404: unknown, Exception: failed},
    )
    inner.router.redirect_slashes = False  # a path that is not there is told, not led elsewhere
    return Guard(inner, token, port)


def token_file(library: Library) -> Path:
    return library.paths.data / "serve.token"


def start_information(url: str, file: str) -> dict[str, object]:
    """What `serve --json` prints once it listens; the token itself is in the file."""
    return {"url": url, "openapi": f"{url}/openapi.json", "token_file": file}


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on a loopback address. Raises `UsageError`, or `KnownError` when the port is taken."""
    address = loopback(host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _sharing(), 1)
        opened.bind((address, port))
        opened.listen(MOST_CONNECTIONS)
    except OSError as error:
        opened.close()
        raise KnownError(
            f"Port {port} of {address} cannot be used ({error.strerror}).",
            "Another program may have it; choose another one with --port, or 0 for any.",
        ) from error
    return opened


def _sharing() -> int:
    """Elsewhere SO_REUSEADDR lets a restart have its port at once; on Windows it lets another program take it over."""
    if sys.platform == "win32":
        return socket.SO_EXCLUSIVEADDRUSE
    return socket.SO_REUSEADDR


def make_server(app: Guard) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        http=JsonProtocol,
        loop="asyncio",
    )
    return uvicorn.Server(config)


def serve(library: Library, host: str, port: int, *, new_token: bool, ready: Ready) -> None:
    """Answer until Ctrl-C. `ready` is told the address, the token if it was made now, and the file it lies in."""
    file = token_file(library)
    with listen(host, port) as opened:
        token, made = read_token(file, new_token)
        api = Api(library)
        try:
            api.warm()
            address, real_port = opened.getsockname()[:2]
            shown = f"[{address}]" if ":" in address else address
            ready(f"http://{shown}:{real_port}", token if made else None, str(file))
            try:
                make_server(build_app(api, token, real_port)).run(sockets=[opened])
            except KeyboardInterrupt:
                return  # uvicorn has closed everything and passes the signal on: this is how a server ends
        finally:
            api.close()
