"""What OpenAPI says beside the types of handlers: headers of commands and error answers."""

from dataclasses import dataclass

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema

from ingest_api.http.problems import MEDIA_TYPE, ProblemBody
from schemas.errors import CATALOGUE


@dataclass
class KeyedOperation(Operation):
    """An operation that needs an Idempotency-Key."""

    def __post_init__(self) -> None:
        key = Parameter(
            name="Idempotency-Key",
            param_in="header",
            required=True,
            description="Unique for each request that you mean; the same again for each repeat.",
            schema=Schema(
                type=OpenAPIType.STRING, min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"
            ),
        )
        self.parameters = [*(self.parameters or []), key]


@dataclass
class PaymentOperation(KeyedOperation):
    """An operation on a payment: its caller may wait for the outcome."""

    def __post_init__(self) -> None:
        super().__post_init__()
        prefer = Parameter(
            name="Prefer",
            param_in="header",
            required=False,
            description="`wait=N`: wait up to N seconds (at most 10) for the outcome (RFC 7240).",
            schema=Schema(type=OpenAPIType.STRING, examples=["wait=5"]),
        )
        self.parameters = [*(self.parameters or []), prefer]


def problems(*codes: str) -> dict[int, ResponseSpec]:
    """Error answers of a route by their codes in the catalogue."""
    texts: dict[int, list[str]] = {}
    for code in codes:
        problem = CATALOGUE[code]
        texts.setdefault(problem.status, []).append(f"`{code}`: {problem.title}.")
    return {
        status: ResponseSpec(
            ProblemBody,
            description=" ".join(lines),
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status, lines in texts.items()
    }
