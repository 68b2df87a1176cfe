"""When a worker takes its next batch."""

from engine.transactions.pacing import CommitPacing


def test_the_first_record_after_a_quiet_time_does_not_wait() -> None:
    pacing = CommitPacing(0.1, 100)
    assert pacing.pause_seconds(0.0) == 0.0
    pacing.committed(10.0, 1)
    assert pacing.pause_seconds(10.1) == 0.0


def test_records_that_keep_coming_are_committed_together() -> None:
    pacing = CommitPacing(0.1, 100)
    pacing.committed(10.0, 3)
    assert round(pacing.pause_seconds(10.03), 6) == 0.07


def test_a_full_batch_is_followed_at_once() -> None:
    pacing = CommitPacing(0.1, 100)
    pacing.committed(10.0, 100)
    assert pacing.pause_seconds(10.0) == 0.0


def test_without_an_interval_nothing_waits() -> None:
    pacing = CommitPacing(0.0, 100)
    pacing.committed(10.0, 1)
    assert pacing.pause_seconds(10.0) == 0.0
