"""A table that could not be started is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.services.child import Launch
from devstack.supervisor.process_spec import InitTask, Process, Stage, TableError, check
from devstack.supervisor.shutdown import STAGE_ENDS


def process(name: str, *needs: str) -> Process:
    return Process(Launch(name, ("true",), Path("x.log")), Stage.WORKERS, needs)


def test_order_of_the_table_does_not_matter() -> None:
    check([process("worker", "topics"), InitTask("topics", list, ("kafka",)), process("kafka")])


@pytest.mark.parametrize(
    "table",
    [
        [process("a", "b"), process("b", "a")],
        [process("a", "a")],
        [process("a", "nowhere")],
    ],
)
def test_circles_and_unknown_needs_are_refused(table: list[Process]) -> None:
    with pytest.raises(TableError, match="need each other"):
        check(table)


def test_a_name_is_there_once() -> None:
    with pytest.raises(TableError, match="twice"):
        check([process("a"), process("a")])


def test_stages_stop_in_order_and_within_fifteen_seconds() -> None:
    ends = [STAGE_ENDS[stage] for stage in Stage]
    assert ends == sorted(ends)
    assert ends[-1] < 15
