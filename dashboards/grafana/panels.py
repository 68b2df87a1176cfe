"""Panels as values: a title, where to ask, what to ask. `board` lays them out as Grafana's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

PROMETHEUS = {"type": "prometheus", "uid": "paystream-prometheus"}
CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "paystream-clickhouse"}
SCHEMA_VERSION = 41
ROW_UNITS = 24  # Grafana's grid is 24 wide
HEIGHT_UNITS = 8


class Panel(Struct, frozen=True, kw_only=True):
    """One panel. `promql`: legend -> expression; or `sql`, one query of the analysts' views."""

    title: str
    kind: Literal["timeseries", "stat", "table", "barchart"]
    promql: dict[str, str] | None = None
    sql: str | None = None
    unit: str = "short"
    width_units: int = 12

    def targets(self) -> list[dict[str, Any]]:
        """The panel's questions in its data source's form."""
        if self.sql is not None:
            kind = "timeseries" if self.kind == "timeseries" else "table"
            return [{"refId": "A", "editorType": "sql", "queryType": kind, "rawSql": self.sql}]
        assert self.promql is not None, self.title
        return [
            {"refId": chr(ord("A") + n), "expr": expression, "legendFormat": legend}
            for n, (legend, expression) in enumerate(self.promql.items())
        ]


class Board(Struct, frozen=True):
    """A dashboard."""

    uid: str
    title: str
    panels: Sequence[Panel]


def board(described: Board) -> dict[str, Any]:
    """Grafana's JSON of a dashboard: panels from left to right, rows from top to bottom."""
    panels, x, y = [], 0, 0
    for number, panel in enumerate(described.panels, 1):
        if x + panel.width_units > ROW_UNITS:
            x, y = 0, y + HEIGHT_UNITS
        place = {"x": x, "y": y, "w": panel.width_units, "h": HEIGHT_UNITS}
        x += panel.width_units
        panels.append(
            {
                "id": number,
                "title": panel.title,
                "type": panel.kind,
                "datasource": CLICKHOUSE if panel.sql is not None else PROMETHEUS,
                "gridPos": place,
                "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
                "targets": panel.targets(),
            }
        )
    return {
        "uid": described.uid,
        "title": described.title,
        "tags": ["paystream"],
        "timezone": "utc",
        "schemaVersion": SCHEMA_VERSION,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": panels,
    }
