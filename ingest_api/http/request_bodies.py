"""Bodies: JSON in UTF-8, each member once, no card number, then the strict type (pure)."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from ingest_api.http.problems import ApiProblem, FieldError, invalid
from ingest_api.http.request_headers import card_number_refused
from ingest_api.http.request_models import InvalidField
from schemas.pan import document_has_card_number

_JSON_TYPE = re.compile(
    r"application/(?:[\w.-]+\+)?json\s*(?:;\s*charset=\"?utf-?8\"?\s*)?;?\s*", re.IGNORECASE
)
_UNKNOWN_MEMBER = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)


def check_media_type(types: Sequence[str], headers: Mapping[str, str]) -> None:
    """Raises ApiProblem 415 unless the body is said to be JSON in UTF-8, not compressed."""
    if len(types) != 1 or not _JSON_TYPE.fullmatch(types[0]):
        raise ApiProblem("unsupported_media_type")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiProblem("unsupported_media_type", "Send the body without Content-Encoding.")


def decode_body(body: bytes, annotation: Any) -> Any:
    """The body as that type. Raises ApiProblem: no JSON, a card number in clear, a wrong field."""
    try:
        if document_has_card_number(_DOCUMENTS.decode(body.decode())):
            raise card_number_refused()
        return _decoder(annotation).decode(body)
    except msgspec.ValidationError as error:
        raise _refused(_field_error(error)) from None
    except InvalidField as error:
        raise _refused(FieldError(f"/{_escaped(error.field)}", str(error))) from None
    except (ValueError, RecursionError):
        raise invalid("", "The body must be one JSON object in UTF-8") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259 section 4: of members with one name, readers disagree which counts."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidField(twice, "must be there once")
    return members


def _no_number(_: str) -> None:
    """No field takes a number as long as a card number, and the strict type checks its size."""


_DOCUMENTS = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_no_number, parse_int=_no_number
)


@cache
def _decoder(annotation: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(annotation)


def _refused(wrong: FieldError) -> ApiProblem:
    where = f"{wrong.pointer}: " if wrong.pointer else ""
    return ApiProblem("invalid_request", f"{where}{wrong.message}", errors=(wrong,))


def _field_error(error: msgspec.ValidationError) -> FieldError:
    if isinstance(error.__cause__, InvalidField):
        return FieldError(f"/{_escaped(error.__cause__.field)}", str(error.__cause__))
    message, _, location = str(error).partition(" - at `")
    pointer = _pointer(location.rstrip("`"))
    unknown = _UNKNOWN_MEMBER.fullmatch(message)
    if unknown is not None:
        return FieldError(f"{pointer}/{_escaped(unknown['name'])}", "unknown field")
    return FieldError(pointer, message)


def _pointer(location: str) -> str:
    """`$.a.b[0]` of msgspec as JSON Pointer `/a/b/0`."""
    return location.removeprefix("$").replace("[", "/").replace("]", "").replace(".", "/")


def _escaped(name: str) -> str:
    """A member's name within a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
