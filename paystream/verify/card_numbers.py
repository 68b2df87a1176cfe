"""`no_card_numbers`: no PAN (primary account number) in a topic, a store or a log.

What counts as one is the rule of the one detector, `schemas.pan`. Each text is scanned by itself: a
field of an Avro record, a string of a JSON document, a header, a column. Two neighbours make no
number together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import fastavro

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from runtime.kafka import StoredRecord
from schemas.pan import find_card_numbers
from schemas.registry import contracts

_PREFIX_BYTES = 5


def card_numbers_in(data: bytes) -> Iterator[str]:
    """Digits of the card numbers in the bytes: of a record, a JSON document or anything else."""
    return (number.digits for text in _texts(data) for number in find_card_numbers(text))


def _texts(data: bytes) -> Iterator[str]:
    document = _avro(data)
    if document is None:
        try:
            document = json.loads(data, parse_float=lambda _: None)
        except ValueError:  # also of text that is not UTF-8
            yield data.decode("utf-8", "replace")
            return
    yield from _walk(document)


def _avro(data: bytes) -> object:
    """The record as builtin values; None for what is no record of this release."""
    contract = contracts().get(int.from_bytes(data[1:_PREFIX_BYTES], "big"))
    if contract is None or not data.startswith(b"\0"):
        return None
    body = BytesIO(data)
    body.seek(_PREFIX_BYTES)
    try:
        return fastavro.schemaless_reader(body, contract.parsed, None)
    except (EOFError, ValueError, IndexError, StopIteration, TypeError, OverflowError):
        return None


def _walk(document: object) -> Iterator[str]:
    remaining: list[Any] = [document]
    while remaining:
        value = remaining.pop()
        match value:
            case str():
                yield value
            case bytes():  # a dead letter has the value that failed
                yield from _texts(value)
            case int():
                yield str(value)
            case dict():
                remaining += [*value.keys(), *value.values()]
            case list():
                remaining += value


def _masked(number: str) -> str:
    """First six and last four digits: what PCI DSS lets people see."""
    return f"{number[:6]}…{number[-4:]}"


def no_card_numbers(dataset: Dataset, findings: Findings) -> None:
    """No card number in any topic's keys and values, Valkey, ClickHouse or a log file.

    A client's record that was refused stays on the client's topic until retention takes it: Kafka
    deletes no single record. It is noted; a copy of it anywhere else is a violation.
    """
    sources = dataset.sources
    refused = {(found.topic, found.partition, found.offset) for found in dataset.rejections}
    refused_with_numbers = 0
    for topic in sources.topics():
        for stored in sources.records(topic):
            texts = _texts_of(stored)
            if (topic, stored.partition, stored.offset) in refused:
                refused_with_numbers += any(True for t in texts for _ in card_numbers_in(t))
                continue
            _scan(f"{topic} {stored.partition}/{stored.offset}", texts, findings)
    if refused_with_numbers:
        findings.note(f"{refused_with_numbers} refused records hold a number until retention")
    for key, value in sources.cache_entries("*"):
        _scan(f"Valkey {key}", [key.encode(), value], findings)
    for table, row in dataset.table_lines():
        _scan(f"ClickHouse {table}", [row], findings)
    for name, line in sources.log_lines():
        _scan(name, [line], findings)


def _texts_of(stored: StoredRecord) -> list[bytes]:
    names = " ".join(stored.headers).encode()
    values = (value or b"" for value in stored.headers.values())
    return [(stored.key or "").encode(), stored.value or b"", names, *values]


def _scan(where: str, texts: list[bytes], findings: Findings) -> None:
    findings.checked += 1
    for text in texts:
        for number in card_numbers_in(text):
            findings.violation(where, f"a card number: {_masked(number)}")
