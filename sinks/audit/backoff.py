"""Growing pauses while ClickHouse does not answer (pure)."""


class Backoff:
    """Doubles from the first pause to the longest; starts anew after a success."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._next_seconds = first_seconds

    def next_seconds(self) -> float:
        """The pause to make now."""
        pause = min(self._next_seconds, self._longest_seconds)
        self._next_seconds = min(pause * 2, self._longest_seconds)
        return pause

    def reset(self) -> None:
        """It answered."""
        self._next_seconds = self._first_seconds
