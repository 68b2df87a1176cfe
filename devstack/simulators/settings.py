"""Settings of a simulator: defaults, then TOML file, then environment, then flags.

Section of the network is `network_simulator`: the variable of `--latency-p50-ms` is
`PAYSTREAM_NETWORK_SIMULATOR_LATENCY_P50_MS`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from devstack.simulators.fault_profile import FaultProfile
from runtime.settings import ConfigurationError
from runtime.settings import load as load_section


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One simulator process; `faults` and `lost_answers` are ratios from 0 to 1."""

    port: int = 0
    state_dir: str = ""
    seed: int = 1
    latency_p50_ms: float = 120.0
    latency_p99_ms: float = 380.0
    faults: float = 0.007
    lost_answers: float = 0.0
    hold_seconds: float = 30.0
    slow_seconds: float = 5.0
    in_flight_max: int = 2000
    body_bytes_max: int = 1_000_000

    def fault_profile(self) -> FaultProfile:
        """What `faults.sample_faults` needs of the settings."""
        return FaultProfile(
            seed=self.seed,
            latency_p50_ms=self.latency_p50_ms,
            latency_p99_ms=self.latency_p99_ms,
            fault_ratio=self.faults,
            lost_answer_ratio=self.lost_answers,
        )


class NetworkSettings(SimulatorSettings, frozen=True, kw_only=True):
    """A card network that may say things twice; `doubled_answers` is a ratio from 0 to 1.

    The second time is a notification to `callback_url`, signed with the secret in the environment
    variable NETWORK_NOTIFICATION_SECRET. Without a URL: the API of the environment, if any.
    """

    doubled_answers: float = 0.0
    doubled_seconds_max: float = 2.0
    callback_url: str = ""
    key_file: str = ""


class ReceiverSettings(SimulatorSettings, frozen=True, kw_only=True):
    """A merchant's server is near and misbehaves by script only."""

    latency_p50_ms: float = 15.0
    latency_p99_ms: float = 80.0
    faults: float = 0.0


HELP = {
    "port": "loopback port to listen on",
    "state_dir": "directory of the durable log (and the key pair of the network)",
    "seed": "seed of latency and faults",
    "latency_p50_ms": "median latency, milliseconds (log-normal)",
    "latency_p99_ms": "99th percentile of latency, milliseconds",
    "faults": "ratio of requests that go wrong: refused, failed after the effect, or answer lost",
    "lost_answers": "additional ratio of requests that take effect and whose answer is lost",
    "doubled_answers": "ratio of operations whose answer is sent again as a notification",
    "doubled_seconds_max": "a notification comes up to so long after the operation took effect",
    "callback_url": "where notifications go; default: API_URL/v1/network_notifications",
    "key_file": "key pair to use instead of one in the state directory (two networks, one vault)",
    "hold_seconds": "how long a scripted time-out keeps the caller waiting",
    "slow_seconds": "how long a slow webhook endpoint takes",
    "in_flight_max": "requests worked on at once; more get 503",
    "body_bytes_max": "largest body; more gets 413",
}
Form = TypeVar("Form", bound=SimulatorSettings)


def load(
    name: str,
    form: type[Form],
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Form:
    """Settings of the simulator `name` (network, bank, receiver).

    Exits 2 with a sentence if a flag, a variable or the file is wrong or missing.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m devstack.simulators.{name}", description=f"Simulated {name} on loopback."
    )
    try:
        configured = load_section(form, f"{name}_simulator", environment)
    except ConfigurationError as error:
        parser.error(str(error))
    for field in msgspec.structs.fields(form):
        value = getattr(configured, field.name)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(value),
            default=value,
            required=field.name in ("port", "state_dir") and not value,
            help=f"{HELP[field.name]} (default {field.default})",
        )
    return form(**vars(parser.parse_args(arguments)))
