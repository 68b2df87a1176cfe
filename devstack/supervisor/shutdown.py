"""The end of a run: each stage has a share of the time; a process that exceeds it is killed."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from devstack.services.child import Child
from devstack.supervisor.process_spec import Stage

POLL_SECONDS = 0.02
# Seconds after the beginning by which a stage has ended; together under 15 s.
STAGE_ENDS: Mapping[Stage, float] = {
    Stage.INTAKE: 3.5,
    Stage.WORKERS: 8.5,
    Stage.CONSOLE: 9.0,
    Stage.SIMULATORS: 10.0,
    Stage.STORES: 13.0,
}
# The last broker cannot complete a controlled shutdown without a quorum and would wait until the
# deadline, so its shutdown time is capped. Acknowledged records are on its disk and the others'.
STORES_SECONDS_MAX = 5.0


@dataclass(frozen=True)
class StopClock:
    """When stopping began; a stage that is done early leaves its time to the next."""

    began_at: float = field(default_factory=time.monotonic)
    ends: Mapping[Stage, float] = field(default_factory=lambda: STAGE_ENDS)

    def stage_deadline(self, stage: Stage) -> float:
        """On the monotonic clock; asked when the stage begins."""
        end = self.began_at + self.ends[stage]
        if stage is Stage.STORES:
            end = min(end, time.monotonic() + STORES_SECONDS_MAX)
        return end


def stop_stage(children: Sequence[Child], deadline: float) -> list[Child]:
    """SIGTERM to all at once, SIGKILL to their groups at the deadline; returns the late ones."""
    for child in children:
        child.signal(signal.SIGTERM)
    while time.monotonic() < deadline and any(c.exit_code() is None for c in children):
        time.sleep(POLL_SECONDS)
    late = [child for child in children if child.exit_code() is None]
    for child in children:
        child.kill_group()
    return late
