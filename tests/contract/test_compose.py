"""docker-compose.yml, which cannot run here: its schema, its files, and each of our commands."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from engine import EngineSettings
from ingest_api.settings import ApiSettings
from workers.catalogue import GROUPS, WORKERS

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {
    name: service
    for name, service in SERVICES.items()
    if service["image"].startswith("paystream") and name != "paystream"
}
START_SECONDS_MAX = 60.0


def _compose_schema() -> dict[str, Any]:
    """The schema that check-jsonschema carries; found without importing that package."""
    found = importlib.util.find_spec("check_jsonschema")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0])
    schema: dict[str, Any] = json.loads(
        (folder / "builtin_schemas" / "vendor" / "compose-spec.json").read_text()
    )
    return schema


def test_file_follows_the_compose_schema() -> None:
    validator = jsonschema.validators.validator_for(_compose_schema())(_compose_schema())
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    broken = {**COMPOSE, "services": {"x": {"imaeg": "typo"}}}
    assert list(validator.iter_errors(broken))


def test_every_worker_runs_and_the_brokers_are_three() -> None:
    commands = [service["command"] for service in OURS.values()]
    workers = {c[c.index("workers") + 1] for c in commands if "workers" in c}
    assert workers == set(WORKERS)
    assert [name for name in SERVICES if name.startswith("kafka-")] == [
        "kafka-1",
        "kafka-2",
        "kafka-3",
    ]
    assert len(GROUPS) == len(WORKERS)


def test_files_that_are_mounted_or_built_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"], source
    built = {s["build"]["dockerfile"] for s in SERVICES.values() if "build" in s}
    assert len(built) == 2
    for dockerfile in built:
        copied = re.findall(r"^COPY (.+) \S+$", (ROOT / dockerfile).read_text(), re.MULTILINE)
        for source in " ".join(copied).split():
            assert (ROOT / source).exists(), source


def test_dockerfile_copies_every_room() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert len(rooms) >= 8
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    assert copied == rooms - {"bench", "tests", "docs", "devstack", "examples"}


def test_ports_of_processes_are_distinct_and_scraped() -> None:
    ports = [s["environment"]["HEALTH_PORT"] for s in OURS.values() if _is_worker(s)]
    assert len(ports) == len(set(ports))
    scraped = yaml.safe_load((ROOT / "dashboards/prometheus/prometheus.yaml").read_text())
    groups = scraped["scrape_configs"][0]["static_configs"]
    targets = {target.rpartition(":")[2] for group in groups for target in group["targets"]}
    assert targets == {*ports, "8080", "8090"}
    for port in ports:
        assert f":{port}/metrics" in SERVICES["api"]["environment"]["PROMETHEUS_URLS"]


def test_only_loopback_of_this_machine_is_published() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_secrets_are_asked_for_and_not_written() -> None:
    environment = SERVICES["api"]["environment"]
    for name in ("ADMIN_TOKEN", "PAYSTREAM_MASTER_KEY", "NETWORK_NOTIFICATION_SECRET"):
        assert environment[name].startswith(f"${{{name}:?")


def test_docker_waits_until_a_process_has_drained() -> None:
    """Without `stop_grace_period` it kills after 10 s; a worker may need 25 (kafka-images 30)."""
    grace = {name: _seconds(service["stop_grace_period"]) for name, service in SERVICES.items()}
    api = ApiSettings()
    needed = {
        name: EngineSettings().shutdown_seconds_max
        for name, service in OURS.items()
        if _is_worker(service)
    } | {"api": api.drain_seconds + api.drain_delay_seconds}
    assert {name: grace[name] for name in needed if grace[name] < needed[name] + 5} == {}


def _seconds(text: str) -> int:
    minutes = text.endswith("m")
    return int(text.rstrip("ms")) * (60 if minutes else 1)


def _is_worker(service: dict[str, Any]) -> bool:
    return "workers" in service["command"]


@pytest.mark.parametrize("name", OURS)
def test_command_line_is_understood_by_the_program(name: str) -> None:
    """The same arguments and --help: an unknown option or worker would end with 2."""
    command = [*OURS[name]["command"]]
    program = {
        "python": [sys.executable],
        "paystream": [sys.executable, "-m", "paystream.cli"],
    }[command[0]]
    ran = subprocess.run(
        [*program, *command[1:], "--help"],
        capture_output=True,
        text=True,
        timeout=START_SECONDS_MAX,
        check=False,
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stderr
    options = [word for word in command[1:] if word.startswith("--")]
    assert all(option in ran.stdout for option in options), ran.stdout
