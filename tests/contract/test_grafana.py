"""Grafana's boards and Prometheus' rules: their SQL runs, their metrics exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
import yaml

from dashboards.grafana.__main__ import FOLDER, rendered
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.panels import CLICKHOUSE, PROMETHEUS, ROW_UNITS, board
from schemas.metrics import CATALOGUE
from sinks.audit.migrations import migrate
from sinks.audit.settings import DatabaseNames

ROOT = Path(__file__).resolve().parents[2]
PANELS = [panel for described in BOARDS for panel in described.panels]
_METRIC = re.compile(r"\bpaystream_[a-z_]+\b")
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
KNOWN = {metric.name + suffix for metric in CATALOGUE.values() for suffix in _SUFFIXES[metric.kind]}


def test_boards_on_disk_are_what_the_builder_writes() -> None:
    found = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert found == rendered(), "run: python -m dashboards.grafana"


@pytest.mark.parametrize("described", BOARDS, ids=lambda b: b.uid)
def test_panels_do_not_overlap_and_ask_a_provisioned_source(described: object) -> None:
    panels = board(described)["panels"]  # type: ignore[arg-type] # a parametrized Board
    provisioned = yaml.safe_load(
        (ROOT / "dashboards/grafana/provisioning/datasources/paystream.yaml").read_text()
    )
    sources = {(s["type"], s["uid"]) for s in provisioned["datasources"]}
    assert {(s["type"], s["uid"]) for s in (PROMETHEUS, CLICKHOUSE)} == sources
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        taken = {(place["x"] + column, place["y"]) for column in range(place["w"])}
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= ROW_UNITS
        assert (panel["datasource"]["type"], panel["datasource"]["uid"]) in sources
        cells |= taken


def _expressions() -> Iterator[tuple[str, str]]:
    for panel in PANELS:
        for expression in (panel.promql or {}).values():
            yield panel.title, expression
    rules = yaml.safe_load((ROOT / "dashboards/prometheus/alerts.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        assert rule["annotations"]["action"], rule["alert"]
        yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("title", "expression"), list(_expressions()), ids=lambda v: v[:40])
def test_metrics_of_panels_and_alerts_exist(title: str, expression: str) -> None:
    named = set(_METRIC.findall(expression))
    assert named <= KNOWN, title
    assert named or 'up{job="paystream"}' in expression
    assert expression.count("(") == expression.count(")")


def test_json_is_json() -> None:
    for text in rendered().values():
        assert json.loads(text)["panels"]


@pytest.mark.services
def test_sql_of_every_panel_runs_on_the_views(clickhouse_url: str) -> None:
    names = DatabaseNames("grafana_raw", "grafana_views")
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        migrate(client, names)
        client.database = names.views
        asked = 0
        for panel in PANELS:
            if panel.sql is None:
                continue
            answer = client.query(panel.sql)
            asked += 1
            if panel.kind == "timeseries":
                assert answer.column_names[0] == "time", panel.title
        assert asked == sum(panel.sql is not None for panel in PANELS) > 5
