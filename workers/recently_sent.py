"""What was sent a short while ago: a table calls an entry due until the sending had its effect."""

from collections import OrderedDict

_MS = 1000


class RecentlySent:
    """Keys with the time of their sending; they stand in the order of sending. Pure: no clock."""

    def __init__(self, again_after_seconds: float) -> None:
        self._again_after_ms = int(again_after_seconds * _MS)
        self._sent_at_ms: OrderedDict[str, int] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._sent_at_ms

    def __len__(self) -> int:
        return len(self._sent_at_ms)

    def note(self, key: str, now_ms: int) -> None:
        """It was sent now."""
        self._sent_at_ms[key] = now_ms

    def forget(self, now_ms: int) -> None:
        """Those that were sent long ago may be sent again."""
        oldest_ms = now_ms - self._again_after_ms
        while self._sent_at_ms:
            key, sent_at_ms = next(iter(self._sent_at_ms.items()))
            if sent_at_ms > oldest_ms:
                return
            del self._sent_at_ms[key]
