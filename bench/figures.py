"""Figures of repeated runs: what is printed and what goes into the JSON file."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured quantity with the values of all runs. `unit` is printed after the number."""

    benchmark: str
    name: str
    unit: str
    values: Sequence[float]

    @property
    def spread(self) -> tuple[float, float, float]:
        """(least, median, greatest)."""
        return min(self.values), statistics.median(self.values), max(self.values)


def ratio(name: str, unit: str, ours: Figure, other: Figure) -> Figure:
    """Ours / other, run by run: both ran side by side in each."""
    pairs = zip(ours.values, other.values, strict=True)
    return Figure(ours.benchmark, name, unit, [mine / theirs for mine, theirs in pairs])


def machine() -> dict[str, Any]:
    """What the figures depend on; a load above 0 before the start means noise by others."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average_before": os.getloadavg()[0],
    }


def print_table(figures: Sequence[Figure]) -> None:
    """Markdown, so that it can be pasted into a page."""
    print("\n| benchmark | figure | unit | min | median | max | runs |")
    print("|---|---|---|--:|--:|--:|--:|")
    for figure in figures:
        low, middle, high = (_text(value) for value in figure.spread)
        print(
            f"| {figure.benchmark} | {figure.name} | {figure.unit} | {low} | {middle} | {high} "
            f"| {len(figure.values)} |"
        )


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 1 else f"{value:.2f}"


def write_json(path: Path, before: dict[str, Any], figures: Sequence[Figure]) -> None:
    """All values, and the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [
        {"benchmark": f.benchmark, "name": f.name, "unit": f.unit, "values": list(f.values)}
        for f in figures
    ]
    path.write_text(json.dumps({"machine": before, "figures": listed}, indent=1) + "\n")
