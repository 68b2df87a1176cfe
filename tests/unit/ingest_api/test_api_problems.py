"""Problems follow RFC 9457 and the catalogue; docs/producers/errors.md lists all of them."""

from pathlib import Path

import msgspec
import pytest

from ingest_api.commands.errors import CommandRejected, Overloaded
from ingest_api.http.error_mapping import problem_of
from ingest_api.http.problems import ApiProblem, invalid, try_again
from paystream.generate.errors_page import errors_page
from schemas.enums import RejectionReason
from schemas.errors import CATALOGUE

PAGE = Path(__file__).parents[3] / "docs" / "producers" / "errors.md"


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_makes_a_problem(code: str) -> None:
    body = msgspec.to_builtins(ApiProblem(code).body())
    problem = CATALOGUE[code]
    assert body == {
        "type": f"/problems/{code}",
        "title": problem.title,
        "status": problem.status,
        "code": code,
        "detail": problem.advice,
    }
    assert 400 <= problem.status < 600


def test_a_wrong_field_is_named() -> None:
    body = msgspec.to_builtins(invalid("/amount", "Expected `int`").body())
    assert body["errors"] == ({"pointer": "/amount", "message": "Expected `int`"},)


def test_unavailable_says_when_to_come_back() -> None:
    assert try_again("overloaded", 3).headers == {"Retry-After": "3"}


@pytest.mark.parametrize("reason", list(RejectionReason))
def test_every_rejection_is_a_client_error(reason: RejectionReason) -> None:
    assert 400 <= problem_of(CommandRejected(reason.value)).problem.status < 500


def test_an_unknown_rejection_is_still_reported() -> None:
    problem = problem_of(CommandRejected("reason_of_a_newer_release"))
    assert problem.problem.code == "command_rejected"
    assert "reason_of_a_newer_release" in problem.detail


def test_an_overloaded_api_says_why_and_when_to_come_back() -> None:
    problem = problem_of(Overloaded("Kafka did not acknowledge in time."))
    assert problem.problem.code == "overloaded"
    assert problem.detail == "Kafka did not acknowledge in time."
    assert problem.headers == {"Retry-After": "2"}


def test_the_page_is_generated_from_the_catalogue() -> None:
    assert PAGE.read_text() == errors_page(), "run: paystream generate"
