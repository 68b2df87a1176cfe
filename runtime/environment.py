"""Variables of a process: from the environment or a file of secrets, and none without a meaning."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

FILE_SUFFIX = "_FILE"
PREFIX = "PAYSTREAM_"
SECTIONS = (
    *(
        "api",
        "archive",
        "audit",
        "clickhouse",
        "console",
        "deadlines",
        "engine",
        "history",
        "kafka",
    ),
    *(
        "admission",
        "ledger",
        "merchants",
        "network",
        "payments",
        "payouts",
        "reconciliation",
        "status",
    ),
    *("valkey", "webhooks", "worker"),
    *("bank_simulator", "network_simulator", "receiver_simulator"),  # of the local stack
)
"""Every section of settings; a test compares it with what the processes load."""
_OTHERS = (
    *("PAYSTREAM_CONFIG", "PAYSTREAM_MASTER_KEY", "PAYSTREAM_STATE_DIR", "PAYSTREAM_PORTS"),
    *("PAYSTREAM_CACHE_DIR", "PAYSTREAM_LEDGER_PUBLIC_KEY", "PAYSTREAM_API_PARENT_PID"),
)
"""Variables of no section."""
_FOREIGN = re.compile(
    r"PAYSTREAM_(TEST_\w+"  # of the tests
    r"|(\w+_)?SERVICE_(HOST|PORT(_\w+)?)|(\w+_)?PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""Left alone: Kubernetes adds the latter for each Service whose name begins with "paystream"."""
_SEE = "docs/operators/configuration.md has all names."


class UnknownName(ValueError):
    """A name that no process reads; a sentence with the nearest known one."""


class UnreadableSecret(ValueError):
    """A `<NAME>_FILE` cannot be read, or the variable is set beside it; a sentence."""


def value_of(name: str, env: Mapping[str, str]) -> str | None:
    """The variable, or the content of the file that `<name>_FILE` names; None if neither is set.

    A newline at the file's end is not part of the value. Raises UnreadableSecret.
    """
    path = env.get(name + FILE_SUFFIX)
    if not path:
        return env.get(name)
    if env.get(name):
        raise UnreadableSecret(f"{name} and {name}{FILE_SUFFIX} are both set. Remove one of them.")
    try:
        return Path(path).read_text().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UnreadableSecret(
            f"{name}{FILE_SUFFIX}={path} cannot be read: {reason}. Correct the path or its rights."
        ) from error


def with_files(env: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The environment with these variables read from their files. Raises UnreadableSecret."""
    found = {name: value_of(name, env) for name in names if env.get(name + FILE_SUFFIX)}
    return {**env, **{name: value for name, value in found.items() if value is not None}}


def prefix_of(section: str) -> str:
    """What the variables of a section begin with."""
    return f"{PREFIX}{section.upper()}_"


def check_variables(env: Mapping[str, str]) -> None:
    """Raises UnknownName for a `PAYSTREAM_` variable that no process reads."""
    for name in sorted(env):
        if not name.startswith(PREFIX) or _FOREIGN.fullmatch(name) or section_of(name):
            continue
        if name.removesuffix(FILE_SUFFIX) not in _OTHERS:
            raise UnknownName(f"No process reads {name}.{_nearest(name, _candidates(name))}")


def check_section(section: str, fields: Collection[str], env: Mapping[str, str]) -> None:
    """Raises UnknownName for a variable of the section that is none of its settings."""
    prefix = prefix_of(section)
    known = {prefix + field.upper() for field in fields}
    for name in sorted(env):
        belongs = section_of(name) == section and not _FOREIGN.fullmatch(name)
        if name in known or not belongs:
            continue
        if name.removesuffix(FILE_SUFFIX) not in known and name not in _OTHERS:
            raise UnknownName(f"{name} is no setting of [{section}].{_nearest(name, known)}")


def check_table(where: str, found: Iterable[str], known: Collection[str]) -> None:
    """Raises UnknownName for a name of a TOML table that is not known there."""
    for name in found:
        if name not in known:
            raise UnknownName(f"{where} has {name!r}, which is not known.{_nearest(name, known)}")


def section_of(name: str) -> str | None:
    """The section whose variables begin like this name: the longest, for `network_simulator`."""
    fitting = [section for section in SECTIONS if name.startswith(prefix_of(section))]
    return max(fitting, key=len, default=None)


def _candidates(name: str) -> list[str]:
    """What the name may have been meant for: a variable of no section, or the same of another."""
    prefixes = [prefix_of(section) for section in SECTIONS]
    longer = [prefix for prefix in prefixes if len(prefix) < len(name)]
    return [*_OTHERS, *(prefix + name[len(prefix) :] for prefix in longer)]


def _nearest(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.8)
    return f" Is it {near[0]}? {_SEE}" if near else f" Remove it. {_SEE}"
