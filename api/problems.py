"""Errors as `application/problem+json` (RFC 9457): what is wrong, where, and what to do."""

import re
from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from privacy.encryption import DecryptionError

log = structlog.stdlib.get_logger("heliograph.api")


MOST_DETAILS = 50  # more would make the answer larger than the request


class Detail(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["phone"])
    problem: str = Field(examples=["must be in E.164 form, for example +15558675310; or give its region"])
    code: str = Field(examples=["phone"])


class ProblemBody(BaseModel):
    """RFC 9457, with `error` as a stable code and `details` per field."""

    type: str = Field("about:blank")
    title: str
    status: int
    error: str
    detail: str
    details: list[Detail] | dict[str, Any] = []


class Problem(Exception):
    """Raised anywhere in the API; becomes the answer."""

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        *,
        details: Sequence[dict[str, str]] | dict[str, Any] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.detail = detail
        self.details = details
        self.headers = headers


class Unavailable(Problem):
    """A part that we need is away; nothing was done, the same request may be sent again."""

    def __init__(self, what: str) -> None:
        super().__init__(
            503, "unavailable", f"{what} cannot be reached. Nothing was done; try again.", headers={"Retry-After": "5"}
        )


_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
_ERRORS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def answer(problem: Problem) -> JSONResponse:
    body = {
        "type": "about:blank",
        "title": _TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "error": problem.error,
        "detail": problem.detail,
        "details": problem.details if isinstance(problem.details, dict) else list(problem.details),
    }
    return JSONResponse(body, problem.status, problem.headers, media_type="application/problem+json")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's OpenAPI."""
    return {status: {"model": ProblemBody, **_documented(status)} for status in statuses}


def _documented(status: int | str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {"description": _TITLES[int(status)], "content": content}


def install(app: FastAPI) -> None:
    """All errors of `app` become problems; none of them repeats what was sent."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return answer(invalid_request(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = _ERRORS.get(error.status_code, "invalid_request")
        headers = dict(error.headers) if error.headers else None
        if error.status_code == 405:
            headers = {"Allow": ", ".join(sorted(_allowed(app, request)))}
        return answer(Problem(error.status_code, code, str(error.detail), headers=headers))

    @app.exception_handler(DecryptionError)
    async def sealed(_: Request, error: DecryptionError) -> JSONResponse:
        log.error("cannot be decrypted", reason=str(error))
        return answer(Problem(503, "cannot_be_decrypted", f"It is kept encrypted, and {error}. Nothing was done."))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        route = getattr(request.scope.get("route"), "path", "(none)")  # a path may hold a number
        log.error("unexpected", route=route, exc_info=error)
        return answer(Problem(500, "internal_error", "Something went wrong on our side; it is in our log."))


def _allowed(app: FastAPI, request: Request) -> set[str]:
    """The methods of all routes of the path; the framework names those of the first one only."""
    routes = [route for route in app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return set().union(*(getattr(route, "methods", None) or () for route in routes))


def invalid_request(error: RequestValidationError | ValidationError) -> Problem:
    """What is wrong with each field."""
    details = [_detail(dict(found)) for found in error.errors()[:MOST_DETAILS]]
    return Problem(400, "invalid_request", "The request is not valid. Nothing was sent.", details=details)


_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z_]{0,59}", re.ASCII)
_REWORDED = {
    "missing": "is needed",
    "extra_forbidden": "is not a field of this request",
    "json_invalid": "is not valid JSON",
    "model_attributes_type": "must be a JSON object, sent as application/json",
}


def _detail(found: dict[str, Any]) -> dict[str, str]:
    place = [_named(part) for part in found["loc"] if part not in ("body", "query", "path", "header")]
    kind = str(found["type"])
    if kind == "json_invalid":
        place = []  # the library puts the character's position there
    field = ".".join(place) or "(body)"
    problem = _REWORDED.get(kind, str(found["msg"]).removeprefix("Value error, "))
    return {"field": field[:100], "problem": problem, "code": kind}


def _named(part: Any) -> str:
    """A field name of the caller's own making may hold anything; what does not look like one is not repeated."""
    return str(part) if isinstance(part, int) or _FIELD_NAME.fullmatch(part) else "(a name that is none)"


def describe(app: FastAPI) -> None:
    """The OpenAPI document with our 400 in the place of the framework's 422, and what any body may be answered."""
    document = app.openapi()
    for path in document["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            reads = {"408", "413"} if "requestBody" in operation else set()
            checks = {"400"} if answers.pop("422", None) else set()
            answers |= {status: _documented(status) for status in (reads | checks) - answers.keys()}
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
