"""`python -m dashboards.grafana`: write the boards' JSON; Grafana is provisioned with it."""

import json
import sys
from pathlib import Path

from dashboards.grafana.boards import BOARDS
from dashboards.grafana.panels import board

FOLDER = Path(__file__).parent / "json"


def rendered() -> dict[str, str]:
    """File name -> text."""
    return {f"{b.uid}.json": json.dumps(board(b), indent=2) + "\n" for b in BOARDS}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (FOLDER / name).write_text(text)
        sys.stdout.write(f"wrote {name}\n")
