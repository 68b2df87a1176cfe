"""Errors of the core as problems of the catalogue (pure)."""

from functools import singledispatch

from ingest_api.card_encryption_key import CardKeyUnavailable
from ingest_api.commands.errors import (
    CommandRejected,
    IdempotencyMismatch,
    Overloaded,
    PaymentNotFound,
    PaymentNotReadable,
    StatusUnavailable,
)
from ingest_api.http.problems import ApiProblem, try_again
from schemas.enums import RejectionReason
from schemas.errors import CATALOGUE

_CARD_KEY_RETRY_SECONDS = 5


@singledispatch
def problem_of(_: Exception) -> ApiProblem:
    """The problem that a caller gets for the error."""
    return ApiProblem("internal")


@problem_of.register
def _(_error: IdempotencyMismatch) -> ApiProblem:
    return ApiProblem("idempotency_mismatch")


@problem_of.register
def _(_error: PaymentNotFound) -> ApiProblem:
    return ApiProblem("not_found")


@problem_of.register
def _(error: CommandRejected) -> ApiProblem:
    if error.reason == RejectionReason.NO_SUCH_PAYMENT:
        return ApiProblem("not_found")
    if error.reason is not None and error.reason in CATALOGUE:
        return ApiProblem(error.reason)
    return ApiProblem("command_rejected", str(error))


@problem_of.register
def _(error: Overloaded) -> ApiProblem:
    return try_again("overloaded", error.retry_after_seconds, error.detail)


@problem_of.register
def _(error: PaymentNotReadable) -> ApiProblem:
    return try_again("read_unavailable", error.retry_after_seconds, error.detail)


@problem_of.register
def _(_error: StatusUnavailable) -> ApiProblem:
    return try_again("read_unavailable")


@problem_of.register
def _(_error: CardKeyUnavailable) -> ApiProblem:
    return try_again("network_unavailable", _CARD_KEY_RETRY_SECONDS)
