"""The example of the consumers' page reads the events of a running stack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.conftest import SECURE, RunningStack

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "consumers" / "README.md"


@pytest.mark.skipif(bool(SECURE), reason="the page's program shows no security")
def test_the_example_prints_the_last_event_of_each_payment(settled_stack: RunningStack) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settled_stack.env},
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) > 10
    assert all(payment.startswith("pay_") and int(sequence) > 0 for payment, sequence, *_ in lines)
    assert {"payment.captured"} <= {kind for _, _, kind, _ in lines}
