"""docs/operators/configuration.md names every environment variable that a process reads."""

import re

from repository import ROOT, modules

_READ = re.compile(
    r"(?:env|environ|environment)(?:\.get\(|\[)\"([A-Z][A-Z_]+)\"|_VARIABLE = \"([A-Z_]+)\""
)
_INTERNAL = {"PAYSTREAM_API_PARENT_PID"}
"""Set by the API's own parent process."""


def test_every_variable_that_is_read_is_on_the_page() -> None:
    page = (ROOT / "docs/operators/configuration.md").read_text()
    read = {
        name
        for path in modules()
        for found in _READ.findall((ROOT / path).read_text())
        for name in found
        if name
    }
    assert len(read) > 10
    assert sorted(name for name in read - _INTERNAL if f"`{name}`" not in page) == []
