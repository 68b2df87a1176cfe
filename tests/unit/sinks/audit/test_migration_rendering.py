"""One text for every place: what a cluster and a cold volume make of a migration's statement."""

from __future__ import annotations

import msgspec
import pytest

from sinks.audit.migrations import load_migrations, rendered_statements
from sinks.audit.migrations.rendering import StatementUnknown, rendered
from sinks.audit.settings import DatabaseNames
from sinks.audit.storage_layout import ONE_SERVER, Layout

NAMES = DatabaseNames("r", "v")
CLUSTER = Layout(cluster="pay")
COLD = Layout(storage_policy="tiered", cold_after_days=90)
TABLE = """CREATE TABLE IF NOT EXISTS r.t
(
    merchant_id String COMMENT 'An ENGINE.',
    at DateTime64(3, 'UTC') COMMENT 'Time.'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(at)
ORDER BY (merchant_id, id)
COMMENT 'It''s a table.'"""


def test_one_server_gets_the_files_text() -> None:
    files = load_migrations()
    for each in files:
        assert rendered_statements(each, files, NAMES, ONE_SERVER) == each.statements(NAMES)


def test_a_table_becomes_replicated_local_tables_under_a_distributed_one() -> None:
    local, distributed = rendered(TABLE, NAMES, CLUSTER)
    assert local.startswith("CREATE TABLE IF NOT EXISTS r.t_local ON CLUSTER 'pay'\n(")
    assert "ENGINE = ReplicatedReplacingMergeTree(version)" in local
    assert distributed == (
        "CREATE TABLE IF NOT EXISTS r.t ON CLUSTER 'pay' AS r.t_local\n"
        "ENGINE = Distributed('pay', 'r', 't_local', cityHash64(merchant_id))\n"
        "COMMENT 'It''s a table.'"
    )


@pytest.mark.parametrize(
    ("sorted_by", "shard"), [("(topic, number)", "topic, number"), ("break_id", "break_id")]
)
def test_without_a_merchant_the_whole_identity_decides_about_the_shard(
    sorted_by: str, shard: str
) -> None:
    text = TABLE.replace("(merchant_id, id)", sorted_by)
    assert f"cityHash64({shard})" in rendered(text, NAMES, CLUSTER)[1]


def test_both_copies_of_a_row_have_the_same_shard() -> None:
    """The sharding key is part of the row's identity, which is the sorting key."""
    files = load_migrations()
    seen = 0
    for each in files:
        texts = each.statements(NAMES)
        for text in (t for t in texts if t.startswith("CREATE TABLE")):
            distributed = rendered(text, NAMES, CLUSTER)[1]
            key = distributed.split("cityHash64(")[1].split("))")[0].split(", ")
            sorted_by = text.split("ORDER BY ")[1].split("\n")[0].strip("()").split(", ")
            assert set(key) <= set(sorted_by)
            seen += 1
    assert seen >= 7


def test_materialized_views_work_within_a_shard() -> None:
    [text] = rendered(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS r.m TO r.p AS\nSELECT a FROM r.t COMMENT 'x'",
        NAMES,
        CLUSTER,
    )
    assert text == (
        "CREATE MATERIALIZED VIEW IF NOT EXISTS r.m ON CLUSTER 'pay' TO r.p_local AS\n"
        "SELECT a FROM r.t_local COMMENT 'x'"
    )


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE DATABASE IF NOT EXISTS v\nC", ["CREATE DATABASE IF NOT EXISTS v @\nC"]),
        ("CREATE OR REPLACE VIEW v.p\n(a UInt8)", ["CREATE OR REPLACE VIEW v.p @\n(a UInt8)"]),
        (
            "ALTER TABLE r.t ADD COLUMN IF NOT EXISTS a UInt8",
            [
                "ALTER TABLE r.t_local @ ADD COLUMN IF NOT EXISTS a UInt8",
                "ALTER TABLE r.t @ ADD COLUMN IF NOT EXISTS a UInt8",
            ],
        ),
        (
            "ALTER TABLE r.t ADD INDEX IF NOT EXISTS i a TYPE minmax",
            ["ALTER TABLE r.t_local @ ADD INDEX IF NOT EXISTS i a TYPE minmax"],
        ),
        ("ALTER TABLE r.m COMMENT COLUMN a 'x'", ["ALTER TABLE r.m @ COMMENT COLUMN a 'x'"]),
        ("DROP VIEW IF EXISTS r.m SYNC", ["DROP VIEW IF EXISTS r.m @ SYNC"]),
        (
            "DROP TABLE IF EXISTS r.t",
            ["DROP TABLE IF EXISTS r.t @", "DROP TABLE IF EXISTS r.t_local @"],
        ),
        ("INSERT INTO r.t SELECT 1", ["INSERT INTO r.t SELECT 1"]),
    ],
)  # fmt: skip
def test_other_statements(statement: str, expected: list[str]) -> None:
    made = rendered(statement, NAMES, CLUSTER, frozenset(["m"]))
    assert made == [text.replace("@", "ON CLUSTER 'pay'") for text in expected]


def test_what_nobody_thought_of_is_refused() -> None:
    with pytest.raises(StatementUnknown, match=r"OPTIMIZE TABLE r\.t"):
        rendered("OPTIMIZE TABLE r.t", NAMES, CLUSTER)
    with pytest.raises(StatementUnknown, match="MergeTree engine"):
        rendered("CREATE TABLE IF NOT EXISTS r.t (a UInt8) ENGINE = Memory", NAMES, CLUSTER)


def test_old_rows_move_to_the_cold_volume() -> None:
    [text] = rendered(TABLE, NAMES, COLD)
    assert text.endswith(
        "ORDER BY (merchant_id, id)\n"
        "TTL toDateTime(at) + toIntervalDay(90) TO VOLUME 'cold'\n"
        "SETTINGS storage_policy = 'tiered'\n"
        "COMMENT 'It''s a table.'"
    )
    [text] = rendered(TABLE.replace("\nCOMMENT 'It", "\nSETTINGS a = 1\nCOMMENT 'It"), NAMES, COLD)
    assert "\nSETTINGS storage_policy = 'tiered', a = 1\nCOMMENT" in text
    never = TABLE.replace("PARTITION BY toYYYYMM(at)\n", "")
    assert rendered(never, NAMES, COLD) == [never]


@pytest.mark.parametrize(
    "bad", [{"cluster": "a'b"}, {"cold_after_days": -1}, {"storage_policy": "a b"}]
)
def test_names_are_words(bad: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, Layout)
