"""The API's description: one table of operations, which the routes, the checks and the OpenAPI document all read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from m2hf_core.errors import UsageError
from m2hf_core.records import BRANCHES, FUSIONS

Json = dict[str, Any]
LONGEST_TEXT = 10_000
MOST_HITS = 200


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    about: str
    schema: Mapping[str, object]
    parse: Callable[[str], object]
    required: bool = False


def _text(value: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"it has at most {LONGEST_TEXT} characters")
    return value


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isdecimal() or not low <= int(value[:9]) <= high or len(value) > 9:
            raise ValueError(f"it is a whole number from {low} to {high}")
        return int(value)

    return parse


def _seconds(value: str) -> float:
    number = float(value) if len(value) < 40 else math.nan
    if not math.isfinite(number) or number < 0:
        raise ValueError("it is a number of seconds")
    return number


def _branches(value: str) -> tuple[str, ...]:
    names = [name for name in value.split(",") if name]
    if not names or not set(names) <= set(BRANCHES):
        raise ValueError(f"it is some of {','.join(BRANCHES)}")
    return tuple(branch for branch in BRANCHES if branch in names)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"it is one of {', '.join(choices)}")
        return value

    return parse


_STRING = {"type": "string", "maxLength": LONGEST_TEXT}
VIDEO = Parameter("video", "absolute path of a video of the library", _STRING, _text)
AT = Parameter("at", "second in the video", {"type": "number", "minimum": 0}, _seconds)
K = Parameter(
    "k", "how many hits (10)", {"type": "integer", "minimum": 1, "maximum": MOST_HITS}, _whole(1, MOST_HITS)
)
FUSION = Parameter(
    "fusion", "how branch ranks become one", {"type": "string", "enum": [*FUSIONS]}, _one_of(*FUSIONS)
)


@dataclass(frozen=True, slots=True)
class Operation:
    path: str
    summary: str
    parameters: tuple[Parameter, ...]
    answer: str = "application/json"

    def read(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """The parameters of one request. Raises `UsageError` that names the wrong one."""
        known = {parameter.name: parameter for parameter in self.parameters}
        if unknown := sorted(set(query) - set(known)):
            raise UsageError(
                f"There is no parameter {unknown[0]!r}.", f"Known: {', '.join(known) or 'none'}."
            )
        found: dict[str, Any] = {}
        for name, parameter in known.items():
            values = query.get(name, [])
            if len(values) > 1:
                raise UsageError(f"{name} is given twice.")
            if not values:
                if parameter.required:
                    raise UsageError(f"{name} is missing.", f"It is: {parameter.about}.")
                continue
            try:
                found[name] = parameter.parse(values[0])
            except ValueError as error:
                reason = str(error) if str(error).startswith("it ") else "it is a number of seconds"
                raise UsageError(f"The value of {name} is wrong: {reason}.") from error
        return found


def _required(parameter: Parameter) -> Parameter:
    return Parameter(parameter.name, parameter.about, parameter.schema, parameter.parse, required=True)


OPERATIONS: Mapping[str, Operation] = {
    "search": Operation(
        "/search",
        "Moments that a text describes: the document of `search --json`",
        (
            Parameter("q", "the query, in the query language", _STRING, _text, required=True),
            K,
            FUSION,
            Parameter("branches", "only these of visual,audio,motion,speech", {"type": "string"}, _branches),
            Parameter("explain", "1: which word was found when", {"enum": ["0", "1"]}, _one_of("0", "1")),
        ),
    ),
    "captions": Operation(
        "/captions",
        "Texts nearest to a clip: the document of `captions --json`",
        (_required(VIDEO), AT, K, FUSION),
    ),
    "similar": Operation(
        "/similar",
        "Moments like a moment, or like a picture: the form of `search --json`",
        (VIDEO, AT, Parameter("image", "absolute path of a picture", _STRING, _text), K, FUSION),
    ),
    "status": Operation("/status", "What is searchable: the document of `status --json`", ()),
    "thumbnail": Operation(
        "/thumbnail",
        "The picture at a second of a video of the library, as JPEG",
        (
            _required(VIDEO),
            AT,
            Parameter(
                "side", "longer side in pixels (320)", {"type": "integer", "maximum": 1920}, _whole(16, 1920)
            ),
        ),
        "image/jpeg",
    ),
}


def openapi(url: str, version: str) -> Json:
    """The OpenAPI 3.1 document of a server that listens at `url`."""
    error = {
        "description": "A sentence on what was wrong, and what to do.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "M2HF-app",
            "version": version,
            "summary": "Search of the videos on this machine, for programs on this machine.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": {
            operation.path: {
                "get": {
                    "operationId": name,
                    "summary": operation.summary,
                    "parameters": [_parameter(parameter) for parameter in operation.parameters],
                    "responses": {
                        "200": {"description": "The answer.", "content": {operation.answer: {}}},
                        "400": error,
                        "401": error,
                        "403": error,
                        "422": error,
                        "503": error,
                    },
                }
            }
            for name, operation in OPERATIONS.items()
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error", "hint"],
                    "properties": {"error": {"type": "string"}, "hint": {"type": "string"}},
                }
            },
        },
    }


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }
