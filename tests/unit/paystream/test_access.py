"""The rights of each process: enough for its work, and none of another's."""

from __future__ import annotations

import msgspec
import pytest

from engine.broker.clients import ClientConfig
from engine.settings import EngineSettings
from paystream.operations.access import (
    ANALYSTS,
    GROUPS,
    PRINCIPALS,
    PRODUCERS,
    VERIFY,
    Right,
    UnknownPrincipal,
    rights,
    written,
)
from paystream.operations.acls import Acl, acl_of, as_command, wanted
from schemas.topics import PAYMENTS_COMMANDS, PAYMENTS_EVENTS, TOPICS


def allows(principal: str, resource: str, name: str, operation: str) -> bool:
    return any(
        right.principal == principal
        and right.resource == resource
        and right.operation == operation
        and (name.startswith(right.name) if right.prefixed else name == right.name)
        for right in rights()
    )


def test_every_name_in_the_topic_files_is_a_principal() -> None:
    assert rights()
    strange = msgspec.structs.replace(TOPICS[PAYMENTS_EVENTS], readers=["somebody"])
    with pytest.raises(UnknownPrincipal, match="'somebody', which is no kind of process"):
        rights([strange])


def test_the_audit_sink_cannot_write_a_command() -> None:
    assert allows("sinks-audit", "TOPIC", PAYMENTS_EVENTS, "READ")
    assert not [name for name in written("sinks-audit") if name.startswith("payments.commands")]
    assert not allows("sinks-audit", "TOPIC", PAYMENTS_COMMANDS, "WRITE")


@pytest.mark.parametrize("principal", [VERIFY, ANALYSTS, "console"])
def test_an_observer_writes_nothing(principal: str) -> None:
    operations = {right.operation for right in rights() if right.principal == principal}
    assert operations <= {"READ", "DESCRIBE"}


@pytest.mark.parametrize("group", GROUPS)
def test_a_worker_has_what_the_engine_names(group: str) -> None:
    config = ClientConfig(group, "7", "127.0.0.1:1", EngineSettings())
    clients = (
        config.fetch_consumer(),
        config.restore_consumer(),
        config.parallel_consumer(),
        config.unstable_consumer(),
    )
    for client in clients:
        assert allows(group, "GROUP", client["group.id"], "READ")
    assert allows(group, "TRANSACTIONAL_ID", config.transactional_id, "WRITE")
    for operation in ("READ", "WRITE", "CREATE"):
        assert allows(group, "TOPIC", f"{group}-payments-changelog", operation)


def test_no_worker_reaches_into_anothers_names() -> None:
    """A prefix right ends with a hyphen: it must not fit another worker's names."""
    for group in GROUPS:
        for other in set(GROUPS) - {group}:
            assert not allows(group, "TOPIC", f"{other}-payments-changelog", "WRITE")
            assert not allows(group, "GROUP", other, "READ")
            assert not allows(group, "TRANSACTIONAL_ID", f"{other}-0", "WRITE")


def test_nobody_may_delete_or_alter() -> None:
    allowed = {"READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"}
    assert {right.operation for right in rights()} == allowed
    assert "*" not in {right.name for right in rights()}


def test_each_producer_has_a_user_of_its_own() -> None:
    users = {acl.principal for acl in wanted("shop-", ["importer", "terminal"])}
    assert {"User:shop-importer", "User:shop-terminal"} <= users
    assert "User:shop-producers" not in users
    assert len(users) == len(PRINCIPALS) + 1
    assert {right.principal for right in rights()} >= {PRODUCERS}


def test_a_right_is_a_line_for_kafkas_own_tool() -> None:
    right = Right("sinks-audit", "TOPIC", "sinks-audit-", True, "READ")
    assert acl_of(right, "p-") == Acl(
        "User:p-sinks-audit", "TOPIC", "sinks-audit-", "PREFIXED", "READ"
    )
    assert as_command(acl_of(right)) == (
        'kafka-acls --bootstrap-server "$KAFKA_BOOTSTRAP_SERVERS" --add'
        " --allow-principal User:sinks-audit --operation Read --topic sinks-audit-"
        " --resource-pattern-type prefixed"
    )
