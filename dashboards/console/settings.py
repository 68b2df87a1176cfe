"""Settings of the console: section [console], PAYSTREAM_CONSOLE_*."""

from typing import Annotated

import msgspec


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often the parts are asked, and how long they may take."""

    host: str = "127.0.0.1"
    """Address that the page is served on."""
    views_database: Annotated[str, msgspec.Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] = "paystream"
    """ClickHouse database that analysts read."""
    refresh_seconds: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    """Pause between two rounds of questions; all viewers share one round."""
    viewer_seconds: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """Rounds go on this long after a page asked last; without a viewer nothing is asked."""
    refresh_share_max: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.2
    """Questions take at most this share of the time: slow parts are asked less often."""
    answer_seconds_max: Annotated[int, msgspec.Meta(ge=1)] = 10
    """A part that takes longer counts as unavailable."""
    recent_payments: Annotated[int, msgspec.Meta(ge=1, le=200)] = 15
    """Rows of the list of payments."""
    throughput_minutes: Annotated[int, msgspec.Meta(ge=1, le=240)] = 15
    """Width of the chart."""
