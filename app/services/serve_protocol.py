"""What is no HTTP is refused in the form of all other refusals; uvicorn's own protocol answers it in plain text."""

from __future__ import annotations

import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.services.serve_guard import HEADERS

NOT_HTTP = {
    "error": "This is no HTTP request, or its line and headers are too long.",
    "hint": "See /openapi.json; texts are %-encoded.",
}


class JsonProtocol(H11Protocol):
    """uvicorn's, but for the answer to what its parser rejects: no application is asked then."""

    def send_400_response(self, msg: str) -> None:
        """Answer and hang up. `msg` is uvicorn's own sentence, which it has logged."""
        body = json.dumps(NOT_HTTP, separators=(",", ":")).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *HEADERS,
        ]
        answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
