"""Contestants that need more than this house installs; a line says why one is left out."""

from __future__ import annotations

from bench.contestants import Contestant
from bench.options import Options


def optional_contestants(options: Options) -> list[Contestant]:
    """Those that can run here."""
    del options
    return []
