"""Errors as RFC 9457 problems, all from the catalogue `schemas.errors`."""

from collections.abc import Mapping

import msgspec

from schemas.errors import CATALOGUE

MEDIA_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field; `pointer` is a JSON Pointer (RFC 6901) or a header's name."""

    pointer: str
    message: str


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error answer."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()


class ApiProblem(Exception):
    """An error answer: a code of the catalogue, what happened here, and what the caller can do.

    `detail` and `errors` must never carry a value that the caller sent.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.problem = CATALOGUE[code]
        self.detail = detail or self.problem.advice
        self.errors = errors
        self.headers = dict(headers or {})
        super().__init__(f"{code}: {self.detail}")

    def body(self) -> ProblemBody:
        """The problem as it is sent."""
        return ProblemBody(
            type=f"/problems/{self.problem.code}",
            title=self.problem.title,
            status=self.problem.status,
            code=self.problem.code,
            detail=self.detail,
            errors=self.errors,
        )


def invalid(pointer: str, message: str) -> ApiProblem:
    """One field is wrong."""
    return ApiProblem("invalid_request", message, errors=(FieldError(pointer, message),))


def try_again(code: str, seconds: int = 1, detail: str = "") -> ApiProblem:
    """A 429 or 503 that says when to come back."""
    return ApiProblem(code, detail, headers={"Retry-After": str(seconds)})
