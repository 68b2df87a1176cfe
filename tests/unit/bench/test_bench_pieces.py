"""Pieces of the bench that decide what a figure means."""

import json
from pathlib import Path

import pytest

from bench.__main__ import parse
from bench.contract import (
    EVENT_ID,
    decode_command,
    encode_event,
    generated,
)
from bench.figures import Figure, ratio, write_json
from bench.throughput import figures_of


def test_all_baselines_read_and_write_the_same_bytes() -> None:
    codecs = generated()
    command = codecs["Command"](
        payment_id="p",
        command_id="c",
        kind="create",
        merchant_id="m",
        amount=1000,
        currency="EUR",
        at=1_763_700_000_000,
    )
    data = codecs["write_Command"](command)
    assert decode_command(data) == {
        name: getattr(command, name) for name in command.__struct_fields__
    }
    event = {"payment_id": "p", "type": "created", "v": 1, "amount": 1000}
    assert encode_event(event) == codecs["write_Event"](codecs["Event"](**event))
    assert encode_event(event)[1:5] == EVENT_ID.to_bytes(4, "big")


def test_ratios_are_made_run_by_run() -> None:
    ours, other = Figure("b", "ours", "x/s", [10, 30]), Figure("b", "other", "x/s", [5, 10])
    assert ratio("r", "x", ours, other).values == [2, 3]
    assert Figure("b", "f", "s", [3, 1, 2]).spread == (1, 2, 3)


def test_a_baseline_that_does_fewer_records_is_judged_by_its_rate() -> None:
    figures = figures_of(
        {
            "ours": [{"done": 100, "wall_seconds": 1.0, "cpu_seconds": 0.5}],
            "slow": [{"done": 10, "wall_seconds": 1.0, "cpu_seconds": 1.0}],
        }
    )
    found = {figure.name: figure.values for figure in figures}
    assert found["ours / slow"] == [10]
    assert found["ours / slow, per CPU-second"] == [20]


def test_the_json_file_keeps_every_run(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "r.json", {"cores": 2}, [Figure("b", "n", "s", [1.0, 2.0])])
    written = json.loads((tmp_path / "new" / "r.json").read_text())
    assert written["figures"] == [
        {"benchmark": "b", "name": "n", "unit": "s", "values": [1.0, 2.0]}
    ]


def test_an_unknown_benchmark_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["throughput", "nonsense"])
    assert "no benchmark nonsense; there are" in capsys.readouterr().err
    names, options, _ = parse([])
    assert {"throughput", "latency", "restore", "takeover"} <= set(names)
    assert options.records == 200_000
