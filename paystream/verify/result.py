"""What a rule found, and what all rules together say."""

from __future__ import annotations

from msgspec import Struct

OFFENDERS_MAX = 10


class RuleResult(Struct, frozen=True, kw_only=True):
    """The outcome of one rule; `skipped_reason` says which evidence could not be read."""

    name: str
    invariant: str
    checked: int = 0
    violation_count: int = 0
    violations: tuple[str, ...] = ()  # the first OFFENDERS_MAX, as "id: what is wrong"
    notes: tuple[str, ...] = ()
    skipped_reason: str | None = None
    duration_seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Checked, and nothing found."""
        return self.skipped_reason is None and self.violation_count == 0


class VerifyReport(Struct, frozen=True, kw_only=True):
    """All rules of one run; `msgspec.json.encode(report)` gives machines the same facts."""

    ok: bool
    rules: tuple[RuleResult, ...]
    checked_at_ms: int
    duration_seconds: float

    @property
    def violated(self) -> tuple[RuleResult, ...]:
        """Rules that do not hold."""
        return tuple(rule for rule in self.rules if rule.violation_count)

    @property
    def skipped(self) -> tuple[RuleResult, ...]:
        """Rules whose evidence could not be read: nobody knows whether they hold."""
        return tuple(rule for rule in self.rules if rule.skipped_reason is not None)


class Findings:
    """What a rule writes down while it checks."""

    def __init__(self) -> None:
        self.checked = 0
        self.violation_count = 0
        self.violations: list[str] = []
        self.notes: list[str] = []

    def violation(self, offender: str, problem: str) -> None:
        """Count one; the first OFFENDERS_MAX are kept with their ids."""
        self.violation_count += 1
        if len(self.violations) < OFFENDERS_MAX:
            self.violations.append(f"{offender}: {problem}")

    def expect(self, holds: bool, offender: str, problem: str) -> None:
        """Count one check, and a violation unless it holds."""
        self.checked += 1
        if not holds:
            self.violation(offender, problem)

    def note(self, text: str) -> None:
        """Something that a reader of the result must know, and that is no violation."""
        self.notes.append(text)
