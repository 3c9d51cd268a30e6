"""`serve`: answers programs that know the token, refuses everybody else, and leaves nothing behind."""

from __future__ import annotations

import http.client
import json
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from starlette.testclient import TestClient

from app.services.library import open_library
from app.services.searching import Searcher
from app.services.serve import Api, build_app, listen, make_server, token_file
from app.services.serve_guard import loopback, read_token
from app.services.serve_openapi import OPERATIONS, openapi
from m2hf_core.errors import KnownError, UsageError
from m2hf_core.store import clips

TOKEN, PORT = "t" * 43, 8756


@pytest.fixture(scope="module")
def api(shelf: Path) -> Iterator[Api]:
    with open_library(shelf) as library:
        opened = Api(library)
        yield opened
        opened.close()


@pytest.fixture
def client(api: Api) -> Iterator[TestClient]:
    """A well-behaved program."""
    app = build_app(api, TOKEN, PORT)
    with TestClient(
        app, base_url=f"http://127.0.0.1:{PORT}", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield client


@pytest.fixture(scope="module")
def sea(shelf: Path) -> str:
    with open_library(shelf) as library, library.store.library.reading() as session:
        return next(row.path for row in clips.searchable_clips(session) if Path(row.path).stem == "sea")


def test_every_operation_answers_like_its_command(client: TestClient, sea: str) -> None:
    found = client.get("/search", params={"q": "a red square", "k": 2}).json()
    assert found["query"] == "a red square"
    assert len(found["hits"]) == 2
    assert {"rank", "video", "start_s", "won_by", "branches", "without"} <= set(found["hits"][0])
    assert "alignment" not in found["hits"][0]
    assert "alignment" in client.get("/search", params={"q": "bread", "explain": "1"}).json()["hits"][0]
    only = client.get("/search", params={"q": "captain", "branches": "speech", "fusion": "rrf"}).json()
    assert {tuple(hit["won_by"]) for hit in only["hits"]} == {("speech",)}
    texts = client.get("/captions", params={"video": sea, "at": 15, "k": 3}).json()
    assert texts["start_s"] == 12.0
    assert len(texts["hits"]) == 3
    alike = client.get("/similar", params={"video": sea, "at": 2.5, "k": 3}).json()
    assert alike["hits"]
    assert sea not in {hit["video"] for hit in alike["hits"]}
    assert client.get("/status").json()["clips"] == 5


def test_a_library_that_changes_all_the_time_is_answered_from_what_is_loaded(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release = threading.Event(), threading.Event()
    loading: list[Searcher] = []
    with open_library(shelf) as library:

        def long(self: Searcher, _: object = None) -> Searcher:
            if self.library is library:  # other tests' servers look too
                loading.append(self)
                begun.set()
                release.wait(20)
            return self

        monkeypatch.setattr(Searcher, "stale", lambda _: True)
        monkeypatch.setattr(Searcher, "reloaded", long)
        busy = Api(library)
        try:
            busy.warm()
            app = build_app(busy, TOKEN, PORT)
            with TestClient(
                app, f"http://127.0.0.1:{PORT}", headers={"Authorization": f"Bearer {TOKEN}"}
            ) as client:
                assert begun.wait(20), "looked at without any request"
                found = [client.get("/search", params={"q": "a red square"}) for _ in range(3)]
            assert not release.is_set()
            assert [answer.status_code for answer in found] == [200] * 3
            assert len(loading) == 1, "one at a time, beside the answers"
        finally:
            release.set()
            busy.close()


def test_a_library_that_cannot_be_opened_is_told_before_listening(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> Searcher:
        raise KnownError("The disk is away.")

    monkeypatch.setattr("app.services.live.open_searcher", away)
    with open_library(shelf) as library:
        closed = Api(library)
        try:
            with pytest.raises(KnownError, match="The disk is away"):
                closed.warm()
        finally:
            closed.close()


def test_the_description_fits_the_operations(client: TestClient) -> None:
    described = client.get("/openapi.json", headers={"Authorization": ""}).json()
    assert described == json.loads(
        json.dumps(openapi(f"http://127.0.0.1:{PORT}", described["info"]["version"]))
    )
    assert described["openapi"].startswith("3.")
    assert set(described["paths"]) == {operation.path for operation in OPERATIONS.values()}
    assert described["security"] == [{"token": []}]
    for path, methods in described["paths"].items():
        assert set(methods) == {"get"}
        needed = [p["name"] for p in methods["get"]["parameters"] if p["required"]]
        answer = client.get(path)
        assert answer.status_code == (400 if needed or path == "/similar" else 200)
        if needed:
            assert needed[0] in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Host": "evil.example"}, 421),
        ({"Host": f"evil.example:{PORT}"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Host": f"127.0.0.1:{PORT + 1}"}, 421),
        ({"Host": f"127.0.0.1.evil.example:{PORT}"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": f"http://127.0.0.1:{PORT}"}, 200),
        ({"Host": f"localhost:{PORT}"}, 200),
        ({"Host": f"[::1]:{PORT}"}, 200),
    ],
)
def test_who_is_let_in(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.get("/status", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status != 200:
        assert set(answer.json()) == {"error", "hint"}
        assert "videos" not in answer.text


def test_nothing_can_be_written(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert client.request(method, "/status").status_code == 405
    assert client.get("/nothing").status_code == 404
    assert client.get("/../etc/passwd").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/search?q=", 400),
        ("/search?q=a&q=b", 400),
        ("/search?q=a&k=0", 400),
        ("/search?q=a&k=201", 400),
        ("/search?q=a&k=" + "9" * 400, 400),
        ("/search?q=a&k=x", 400),
        ("/search?q=a&fusion=best", 400),
        ("/search?q=a&branches=smell", 400),
        ("/search?q=a&branches=", 400),
        ("/search?q=a&colour=red", 400),
        ("/search?q=" + "a" * 10_001, 400),
        ("/search?q=" + quote("‮abc\0\x1b[31m\U0001f600"), 200),
        ("/search?q=" + quote('"unbalanced speech:( type:foo > > -'), 200),
        ("/search/?q=a", 404),
        ("/captions?video=/nowhere.mp4", 422),
        ("/captions?video=%00", 422),
        ("/captions?video={sea}&at=nan", 400),
        ("/captions?video={sea}&at=-1", 400),
        ("/captions?video={sea}&at=1e9", 400),
        ("/captions?video={sea}&at=x", 400),
        ("/similar?video={sea}&image=/a.png", 400),
        ("/similar?image=/", 422),
        ("/thumbnail?video=/etc/passwd", 422),
        ("/thumbnail?video={sea}&side=100000", 400),
    ],
)
def test_wrong_requests_get_a_sentence(client: TestClient, sea: str, path: str, status: int) -> None:
    answer = client.get(path.replace("{sea}", quote(sea)))
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json()["error"].endswith(".")
        assert "Traceback" not in answer.text


def test_pictures_come_from_the_errands(
    client: TestClient, api: Api, sea: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 a picture")
    asked: list[tuple[Path, float, int]] = []
    future: Future[Path] = Future()
    future.set_result(tmp_path / "a.jpg")

    def thumbnail(*wanted: object) -> Future[Path]:
        asked.append(wanted)
        return future

    monkeypatch.setattr(api._errands, "thumbnail", thumbnail)
    answer = client.get("/thumbnail", params={"video": sea, "at": 3.5, "side": 64})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.content == b"\xff\xd8 a picture"
    assert asked == [(Path(sea), 3.5, 64)]
    future = Future()
    future.set_exception(KnownError("The file is not there.", "Connect its drive."))
    answer = client.get("/thumbnail", params={"video": sea})
    assert (answer.status_code, answer.json()["hint"]) == (422, "Connect its drive.")


def test_a_picture_that_never_comes_is_told(
    client: TestClient, api: Api, sea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.serve.PICTURE_TIMEOUT_S", 0.01)
    monkeypatch.setattr(api._errands, "thumbnail", lambda *_: Future())
    answer = client.get("/thumbnail", params={"video": sea})
    assert (answer.status_code, answer.json()["error"]) == (503, "The picture took too long.")


def test_a_bug_shows_no_traceback(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a secret path")

    monkeypatch.setattr("app.services.serve.library_status", fail)
    app = build_app(api, TOKEN, PORT)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(
        app, f"http://127.0.0.1:{PORT}", raise_server_exceptions=False, headers=headers
    ) as client:
        answer = client.get("/status")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "a request failed" in caplog.text


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "127.0.0.2", "example.org", "", "localhost.evil"]
)
def test_only_this_machine_is_listened_to(host: str) -> None:
    with pytest.raises(UsageError):
        loopback(host)


def test_the_command_refuses_other_hosts(run, shelf: Path) -> None:
    said = run("serve", "--host", "0.0.0.0", "--data-dir", shelf)
    assert said.code == 2
    assert "reached from outside" in said.err
    assert run("serve", "--port", "70000", "--data-dir", shelf).code == 2


def test_a_port_in_use_is_told() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(KnownError, match="cannot be used"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_no_other_program_may_take_the_port_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """There SO_REUSEADDR means that a second program may listen on the same port and get the requests."""
    asked: list[tuple[int, int, int]] = []

    class Recorded(socket.socket):
        def setsockopt(self, *option: int) -> None:
            asked.append(option)

    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    monkeypatch.setattr(socket, "socket", Recorded)
    monkeypatch.setattr(sys, "platform", "win32")
    listen("127.0.0.1", 0).close()
    assert asked == [(socket.SOL_SOCKET, -5, 1)]


def test_the_token_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "serve.token"
    token, made = read_token(file, new=False)
    assert made
    assert len(token) >= 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert read_token(file, new=False) == (token, False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other, made = read_token(file, new=True)
    assert made
    assert other != token
    file.write_text("short")
    assert read_token(file, new=False)[1], "a damaged token is replaced"


def test_a_real_socket_from_start_to_end(api: Api, shelf: Path) -> None:
    with listen("localhost", 0) as opened:
        port = opened.getsockname()[1]
        server = make_server(build_app(api, TOKEN, port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            headers = {"Authorization": f"Bearer {TOKEN}"}
            connection.request(
                "GET", "/search?" + urlencode({"q": "a red square " + "ü" * 9900}), headers=headers
            )
            answer = connection.getresponse()
            assert answer.status == 200
            assert json.loads(answer.read())["hits"]
            connection.request("GET", "/status", headers=headers | {"Host": "rebound.example"})
            assert connection.getresponse().read().startswith(b'{"error":"This server answers only')
            connection.close()
            with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
                raw.sendall(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n")
                assert raw.recv(100).startswith(b"HTTP/1.1 400")
            with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
                raw.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
                assert raw.recv(100).split()[1] in (b"400", b"421")
            for nonsense in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"):
                with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
                    raw.sendall(nonsense)
                    with closing(http.client.HTTPResponse(raw)) as refusal:
                        refusal.begin()
                        assert (refusal.status, refusal.getheader("content-type")) == (
                            400,
                            "application/json",
                        )
                        assert set(json.loads(refusal.read())) == {"error", "hint"}
                    assert raw.recv(1) == b"", "the connection is closed"
        finally:
            server.handle_exit(2, None)  # what Ctrl-C calls
            thread.join(30)
    assert not thread.is_alive()
    assert not token_file(api.library).exists(), "nothing is written where nothing was asked for"
