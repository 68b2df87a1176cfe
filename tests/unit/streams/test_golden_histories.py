"""What was decided once is decided again: lives of payments against a file, field by field.

`payments.events` must be recomputable from `payments.commands` by later releases too. A difference
here is a change of that contract: decide whether it is wanted before the file is written again, by
`python tests/unit/streams/golden_histories.py` from the root of the repository.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from golden_histories import FILE, LIVES, told

GOLDEN = json.loads(FILE.read_text())


@pytest.mark.parametrize("name", LIVES)
def test_a_life_is_decided_as_it_was(name: str, new_story: Callable[..., Any]) -> None:
    now = told(name, new_story(key=name))
    for number, (was, is_now) in enumerate(zip(GOLDEN[name], now, strict=True)):
        assert is_now == was, f"record {number} of {name}"


def test_the_file_holds_no_other_life() -> None:
    assert set(GOLDEN) == set(LIVES)
