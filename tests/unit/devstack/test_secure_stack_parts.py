"""Certificates of the secured local stack, and what `--secure` does not go with."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from devstack.services import certificates
from devstack.services.certificates import certificates_in
from devstack.supervisor.options import UpOptions
from devstack.supervisor.security import StackSecurity
from devstack.supervisor.stack import Stack
from devstack.supervisor.state_dir import StateDir
from paystream.operations.access import PRINCIPALS
from runtime.settings import connections


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """In memory; raises ssl.SSLError if one refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    left = [ours, theirs]
    for _ in range(10):
        for side in tuple(left):
            try:
                side.do_handshake()
                left.remove(side)
            except ssl.SSLWantReadError:
                continue
        if not left:
            return
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
def test_a_client_that_trusts_the_ca_takes_the_certificate(tmp_path: Path, name: str) -> None:
    made = certificates_in(tmp_path / "tls")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate_file, made.key_file)
    handshake(ssl.create_default_context(cafile=made.ca_file), server, name)
    with pytest.raises(ssl.SSLError):
        handshake(ssl.create_default_context(cafile=made.ca_file), server, "192.0.2.1")
    with pytest.raises(ssl.SSLError):
        handshake(ssl.create_default_context(), server, name)


def test_certificates_are_kept_until_they_are_about_to_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = certificates_in(tmp_path).certificate_file.read_bytes()
    assert certificates_in(tmp_path).certificate_file.read_bytes() == first
    monkeypatch.setattr(certificates, "RENEW_DAYS", certificates.VALID_DAYS)
    assert certificates_in(tmp_path).certificate_file.read_bytes() != first
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_each_process_gets_its_own_user_and_no_other_secret(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    security = StackSecurity(state)
    for user in PRINCIPALS:
        env = security.of(user)
        at = connections(env | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
        assert at.kafka.security["sasl.username"] == user
        assert at.kafka.security["sasl.password"] == state.secret(f"kafka-{user}")
    files = [name for name in security.of("streams-payments") if name.endswith("PASSWORD_FILE")]
    assert files == ["PAYSTREAM_KAFKA_SASL_PASSWORD_FILE"]
    state.release()


def test_the_secured_stack_takes_no_store_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    stack = Stack(UpOptions(tmp_path, secure=True))
    with pytest.raises(ValueError, match="REDIS_URL is set: --secure is for the stack's own"):
        stack.up()
    stack.down()
