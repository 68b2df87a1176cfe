"""The brokers' configuration and their locked jars."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devstack.services import kafka_jars
from devstack.services.kafka_config import Node, properties


def nodes(count: int) -> list[Node]:
    return [Node(n, 2000 + n, 3000 + n, Path(f"/state/broker-{n}")) for n in range(1, count + 1)]


def read(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_one_broker_stands_alone() -> None:
    one = read(properties(nodes(1)[0], nodes(1)))
    assert one["controller.quorum.voters"] == "1@127.0.0.1:3001"
    assert one["default.replication.factor"] == "1"
    assert one["transaction.state.log.min.isr"] == "1"
    assert one["auto.create.topics.enable"] == "false"


def test_three_brokers_survive_one() -> None:
    second = read(properties(nodes(3)[1], nodes(3)))
    assert second["node.id"] == "2"
    assert second["controller.quorum.voters"].count("@") == 3
    for name in ("default", "offsets.topic", "transaction.state.log"):
        assert second[f"{name}.replication.factor"] == "3"
    assert second["min.insync.replicas"] == second["transaction.state.log.min.isr"] == "2"
    assert second["unclean.leader.election.enable"] == "false"


def test_everything_listens_on_loopback() -> None:
    listeners = read(properties(nodes(3)[0], nodes(3)))["listeners"]
    assert re.findall(r"//([^:]+):", listeners) == ["127.0.0.1", "127.0.0.1"]


def test_the_lock_names_jars_by_content_and_no_host() -> None:
    jars = kafka_jars.locked_jars()
    assert len(jars) > 40
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert f"kafka_2.13-{kafka_jars.KAFKA_VERSION}.jar" in {jar.file_name for jar in jars}
    assert not re.search(r"https?:|//", kafka_jars.LOCK_PATH.read_text())


def test_a_jar_with_another_content_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYSTREAM_CACHE_DIR", str(tmp_path))
    first = kafka_jars.locked_jars()[0]
    kafka_jars.jars_dir().mkdir(parents=True)
    (kafka_jars.jars_dir() / first.file_name).write_bytes(b"something else")
    assert first in kafka_jars.missing()
    with pytest.raises(kafka_jars.JarsMissingError, match="paystream install-kafka"):
        kafka_jars.classpath()


def test_a_failed_download_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(jar: kafka_jars.Jar, repository: Path) -> Path:
        raise ConnectionError("no route to host")

    monkeypatch.setenv("PAYSTREAM_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kafka_jars, "_download", refuse)
    with pytest.raises(kafka_jars.JarsMissingError) as refused:
        kafka_jars.fetch()
    assert "no route to host" in str(refused.value)
    assert "\n" not in str(refused.value)
