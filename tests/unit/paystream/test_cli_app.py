"""The command line: every command explains itself, and mistakes end as one sentence."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from confluent_kafka import KafkaError, KafkaException

from paystream.cli import app as cli
from paystream.cli import worker as worker_command
from runtime.kafka import TopicUnreadable

HEAVY = ("clickhouse_connect", "confluent_kafka", "engine", "faust", "httpx2", "redis")


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """`paystream …` in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["paystream", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize("name", cli._COMMANDS)
def test_every_command_has_help_with_an_example(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, name, "--help") in (0, None)
    assert f"Example: paystream {name}" in " ".join(capsys.readouterr().out.split())


def test_help_imports_no_client_and_no_engine() -> None:
    code = (
        "import sys; from paystream.cli.app import build\n"
        "try: build()(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_an_unknown_worker_is_a_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "worker", "payment") == 2
    said = capsys.readouterr().err
    assert said.startswith("paystream: There is no worker 'payment'. Choose one of payments, ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", sorted(cli._KNOWN_ERRORS | set(cli._STORES)))
def test_every_known_error_exists_under_its_name(name: str) -> None:
    module, _, cls = name.rpartition(".")
    if module == "cimpl":
        assert f"{KafkaException.__module__}.{KafkaException.__qualname__}" == name
        return
    found = getattr(import_module(module), cls)
    assert issubclass(found, Exception)
    assert f"{found.__module__}.{found.__qualname__}" == name


def test_a_known_error_ends_with_its_first_line() -> None:
    assert cli.user_message(TopicUnreadable("t: away\nmore")) == "t: away"
    error = KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all brokers are down"))
    assert cli.user_message(error) == "all brokers are down"


def test_a_store_that_is_away_is_named() -> None:
    import redis

    sentence = cli.user_message(redis.ConnectionError("Error 111 connecting to 127.0.0.1:1."))
    assert sentence is not None
    assert sentence.startswith("Valkey does not answer. Check its address")


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> int:
        raise KeyError(name)

    assert cli.user_message(KeyError("x")) is None
    monkeypatch.setattr(worker_command, "worker", broken)
    monkeypatch.setattr(sys, "argv", ["paystream", "worker", "payments"])
    with pytest.raises(KeyError):
        cli.main()


def test_help_explains_every_option_of_every_command() -> None:
    app = cli.build()
    silent = [
        f"{name} {argument.names[0]}"
        for name in app
        if not name.startswith("-")
        for argument in app[name].assemble_argument_collection(parse_docstring=True)
        if argument.show and not argument.parameter.help
    ]
    assert silent == []
