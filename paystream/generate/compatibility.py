"""Does a change of the HTTP API or of the topics break a client of the released version? (pure)

The rules are those that a client relies on: what it calls is still there, what it sends is still
accepted, what it reads is still returned. New paths, optional request fields and further response
fields are compatible.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Document = Mapping[str, Any]
Direction = Literal["request", "response"]
_METHODS = ("get", "post", "put", "patch", "delete")


def api_incompatibilities(released: Document, current: Document) -> list[str]:
    """One sentence for each thing that a client of `released` would miss; both are OpenAPI 3.1."""
    found: list[str] = []
    for path, item in released["paths"].items():
        for method in _METHODS:
            if method not in item:
                continue
            where = f"{method.upper()} {path}"
            new = current["paths"].get(path, {}).get(method)
            if new is None:
                found.append(f"{where} is removed")
            else:
                found += _Operation(released, current, where).compare(item[method], new)
    return found


def topic_incompatibilities(released: Document, current: Document) -> list[str]:
    """One sentence for each topic that is removed, renamed or carries another record."""
    found = []
    for name, channel in released["channels"].items():
        new = current["channels"].get(name)
        if new is None:
            found.append(f"topic {channel['address']} is removed")
        elif set(channel["messages"]) != set(new["messages"]):
            found.append(f"topic {channel['address']} carries another record")
    return found


class _Operation:
    """Compares one operation of two documents."""

    def __init__(self, released: Document, current: Document, where: str) -> None:
        self._documents = (released, current)
        self._where = where
        self._seen: set[tuple[str, str, str]] = set()

    def compare(self, old: Document, new: Document) -> Iterator[str]:
        """Parameters, request body, responses."""
        yield from self._parameters(old.get("parameters", ()), new.get("parameters", ()))
        yield from self._bodies(old.get("requestBody"), new.get("requestBody"), "request")
        for status, response in old.get("responses", {}).items():
            if status not in new.get("responses", {}):
                yield f"{self._where}: response {status} is removed"
            else:
                yield from self._bodies(response, new["responses"][status], "response")

    def _parameters(self, old: Any, new: Any) -> Iterator[str]:
        before = {(p["in"], p["name"]): p for p in old}
        after = {(p["in"], p["name"]): p for p in new}
        for place, name in before.keys() - after.keys():
            yield f"{self._where}: {place} parameter {name} is removed"
        for key, parameter in after.items():
            required_before = before.get(key, {}).get("required", False)
            if parameter.get("required", False) and not required_before:
                yield f"{self._where}: {key[0]} parameter {key[1]} is required now"

    def _bodies(self, old: Any, new: Any, direction: Direction) -> Iterator[str]:
        before, after = (body.get("content", {}) if body else {} for body in (old, new))
        if direction == "request" and not before and new and new.get("required"):
            yield f"{self._where}: a request body is required now"
        for media_type, content in before.items():
            if media_type not in after:
                yield f"{self._where}: {direction} media type {media_type} is removed"
            else:
                schemas = (content.get("schema", {}), after[media_type].get("schema", {}))
                yield from self._schemas(*schemas, direction, direction)

    def _schemas(self, old: Any, new: Any, direction: Direction, at: str) -> Iterator[str]:
        key = (str(old.get("$ref", at)), str(new.get("$ref", at)), direction)
        if ("$ref" in old or "$ref" in new) and key in self._seen:
            return
        self._seen.add(key)
        before, after = (
            self._resolve(d, s) for d, s in zip(self._documents, (old, new), strict=True)
        )
        yield from self._types(before, after, direction, at)
        yield from self._properties(before, after, direction, at)
        if "items" in before and "items" in after:
            yield from self._schemas(before["items"], after["items"], direction, f"{at}[]")

    def _types(self, old: Any, new: Any, direction: Direction, at: str) -> Iterator[str]:
        before, after = _types(old), _types(new)
        if before and after and (before - after if direction == "request" else after - before):
            yield f"{self._where}: the type of {at} is {sorted(after)} instead of {sorted(before)}"
        if direction == "request" and "enum" in new:
            for value in set(old.get("enum", ())) - set(new["enum"]):
                yield f"{self._where}: {at} no longer accepts {value!r}"

    def _properties(self, old: Any, new: Any, direction: Direction, at: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before.keys() - after.keys():
            yield f"{self._where}: {at}.{name} is removed"
        required = set(new.get("required", ())), set(old.get("required", ()))
        if direction == "request":
            for name in required[0] - required[1]:
                yield f"{self._where}: {at}.{name} is required now"
        else:
            for name in (required[1] - required[0]) & after.keys():
                yield f"{self._where}: {at}.{name} may be absent now"
        for name in before.keys() & after.keys():
            yield from self._schemas(before[name], after[name], direction, f"{at}.{name}")

    @staticmethod
    def _resolve(document: Document, schema: Any) -> Any:
        while "$ref" in schema:
            found: Any = document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema


def _types(schema: Any) -> set[str]:
    kinds = schema.get("type", ())
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    for variant in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        found |= _types(variant)
    return found
