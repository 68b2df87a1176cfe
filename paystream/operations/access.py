"""What each process may do on Kafka, derived from the topic files and the engine's names.

A principal is one kind of process. Rights are Kafka's own operations on topics, consumer groups and
transactional ids; nothing is denied, so that what is not listed is refused (StandardAuthorizer with
`allow.everyone.if.no.acl.found=false`).
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from schemas.topics import PAYMENTS_DEAD_LETTERS, PAYMENTS_REPLAYS, TOPICS, Topic
from workers.catalogue import WORKERS

Resource = Literal["TOPIC", "GROUP", "TRANSACTIONAL_ID"]
Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"]

GROUPS = tuple(worker.group for worker in WORKERS.values())
API = "ingest_api"
PRODUCERS = "producers"
OPERATORS = "operators"
REPLAY = "replay"
VERIFY = "verify"
CONSOLE = "console"
ANALYSTS = "analysts"
PRINCIPALS = (*GROUPS, API, PRODUCERS, OPERATORS, REPLAY, VERIFY, CONSOLE, ANALYSTS)
"""Kinds of processes and people. `replay` sends dead letters back, with `dead-letters replay`."""
_ALIASES: dict[str, tuple[str, ...]] = {"every agent": GROUPS, "CLI": (OPERATORS,)}
"""Names of the topic files that stand for others."""
_READER_GROUP = "paystream-reader"
"""Of clients that read by assignment; it never commits (`runtime.kafka`)."""
_DECISIONS = "paystream-dead-letters"
"""Transactional id of `paystream dead-letters`."""
_DECIDED = (PAYMENTS_DEAD_LETTERS, PAYMENTS_REPLAYS)
"""Topics of a replay, beside those that one worker reads: a copy goes there again."""
_TRANSACTION: tuple[Operation, ...] = ("WRITE", "DESCRIBE")


class UnknownPrincipal(ValueError):
    """A topic file names a writer or a reader that is no kind of process."""


class Right(NamedTuple):
    """`principal` may do `operation`; `prefixed`: on every resource whose name begins so."""

    principal: str
    resource: Resource
    name: str
    prefixed: bool
    operation: Operation


def rights(
    topics: Iterable[Topic] = TOPICS.values(), producers: Iterable[str] = (PRODUCERS,)
) -> list[Right]:
    """Every right that the product needs, without repetition; `producers`: one user each.

    Raises UnknownPrincipal.
    """
    known = list(topics)
    found: dict[Right, None] = {}
    for principal in PRINCIPALS:
        users = tuple(producers) if principal == PRODUCERS else (principal,)
        for user in users:
            found.update(dict.fromkeys(_rights_of(principal, user, known)))
    return list(found)


def written(principal: str, topics: Iterable[Topic] = TOPICS.values()) -> list[str]:
    """Topics that the principal writes. Raises UnknownPrincipal."""
    return [topic.name for topic in topics if principal in named(topic.writers)]


def read(principal: str, topics: Iterable[Topic] = TOPICS.values()) -> list[str]:
    """Topics that the principal reads. Raises UnknownPrincipal."""
    return [topic.name for topic in topics if principal in named(topic.readers)]


def named(names: Iterable[str]) -> set[str]:
    """Principals behind the names of a topic file; a note in brackets is left out.

    Raises UnknownPrincipal.
    """
    plain = [name.partition(" (")[0] for name in names]
    found = {principal for name in plain for principal in _ALIASES.get(name, (name,))}
    if unknown := found - set(PRINCIPALS):
        raise UnknownPrincipal(
            f"A topic file names {sorted(unknown)[0]!r}, which is no kind of process."
            f" Use one of {', '.join(PRINCIPALS)}."
        )
    return found


def _rights_of(principal: str, user: str, topics: list[Topic]) -> Iterator[Right]:
    for name in read(principal, topics):
        yield Right(user, "TOPIC", name, False, "READ")
    for name in written(principal, topics):
        yield Right(user, "TOPIC", name, False, "WRITE")
    yield Right(user, "GROUP", _READER_GROUP, False, "DESCRIBE")
    if principal in GROUPS:
        yield from _engine_rights(user)
    elif principal == API:
        yield Right(user, "GROUP", "ingest-api-", True, "READ")
    elif principal in (PRODUCERS, ANALYSTS):
        yield Right(user, "GROUP", f"{user}-", True, "READ")
    elif principal == VERIFY:
        yield from _observer_rights(user, topics)
        yield from _everything(user, topics)
    elif principal == CONSOLE:
        yield from _observer_rights(user, topics)
    else:
        yield from _operator_rights(principal, user, topics)


def _engine_rights(user: str) -> Iterator[Right]:
    """Groups `<app>`, `<app>-calls`, `<app>-restore`; changelogs and transactions `<app>-…`."""
    yield Right(user, "GROUP", user, False, "READ")
    yield Right(user, "GROUP", f"{user}-", True, "READ")
    changelogs: tuple[Operation, ...] = ("READ", "WRITE", "CREATE")
    for operation in changelogs:
        yield Right(user, "TOPIC", f"{user}-", True, operation)
    for operation in _TRANSACTION:
        yield Right(user, "TRANSACTIONAL_ID", f"{user}-", True, operation)


def _observer_rights(user: str, topics: list[Topic]) -> Iterator[Right]:
    """Where every group stands, and where its topics end."""
    for topic in topics:
        yield Right(user, "TOPIC", topic.name, False, "DESCRIBE")
    for group in GROUPS:
        yield Right(user, "GROUP", group, False, "DESCRIBE")
        yield Right(user, "GROUP", f"{group}-", True, "DESCRIBE")


def _everything(user: str, topics: list[Topic]) -> Iterator[Right]:
    """Each topic and changelog: `verify` compares them and looks for card numbers in all."""
    for topic in topics:
        yield Right(user, "TOPIC", topic.name, False, "READ")
    for group in GROUPS:
        yield Right(user, "TOPIC", f"{group}-", True, "READ")


def _operator_rights(principal: str, user: str, topics: list[Topic]) -> Iterator[Right]:
    """Operators create topics and read all of them; `replay` writes back to what workers read."""
    yield from _observer_rights(user, topics)
    yield from _everything(user, topics)
    for operation in _TRANSACTION:
        yield Right(user, "TRANSACTIONAL_ID", _DECISIONS, False, operation)
    for topic in topics:
        if principal == OPERATORS:
            yield Right(user, "TOPIC", topic.name, False, "CREATE")
            yield Right(user, "TOPIC", topic.name, False, "DESCRIBE_CONFIGS")
        elif len(named(topic.readers) & set(GROUPS)) == 1 or topic.name in _DECIDED:
            yield Right(user, "TOPIC", topic.name, False, "WRITE")
