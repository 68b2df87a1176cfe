"""What was sent a short while ago: a table reports an entry as due until the record had effect."""

from collections import OrderedDict

_MS = 1000


class RecentlySent:
    """Ids with the time of their sending, in the order of sending. Pure: no clock."""

    def __init__(self, resend_after_seconds: float) -> None:
        self._resend_after_ms = int(resend_after_seconds * _MS)
        self._sent_at_ms: OrderedDict[str, int] = OrderedDict()

    def __contains__(self, record_id: str) -> bool:
        return record_id in self._sent_at_ms

    def __len__(self) -> int:
        return len(self._sent_at_ms)

    def add(self, record_id: str, now_ms: int) -> None:
        """The record was sent now."""
        self._sent_at_ms[record_id] = now_ms

    def expire(self, now_ms: int) -> None:
        """Remove the ids that may be sent again."""
        oldest_ms = now_ms - self._resend_after_ms
        while self._sent_at_ms:
            record_id, sent_at_ms = next(iter(self._sent_at_ms.items()))
            if sent_at_ms > oldest_ms:
                return
            del self._sent_at_ms[record_id]
