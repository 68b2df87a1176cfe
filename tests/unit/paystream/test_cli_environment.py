"""Where commands find the stack, and how they speak."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paystream.cli.environment import environment, need, read_env_file
from paystream.cli.output import CliError, print_error, print_json, warn


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the env file of a stack; the process's own variables are away."""
    for name in ("REDIS_URL", "API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PAYSTREAM_STATE_DIR", str(tmp_path))
    (tmp_path / "paystream.env").write_text(
        "# written by paystream up\n\nREDIS_URL='redis://a:1?x=y'\nAPI_URL=http://b:2\n"
    )
    return tmp_path


def test_lines_are_names_and_values_without_their_quotes(stack: Path) -> None:
    found = read_env_file(stack / "paystream.env")
    assert found == {"REDIS_URL": "redis://a:1?x=y", "API_URL": "http://b:2"}


@pytest.mark.usefixtures("stack")
def test_the_stack_of_this_folder_is_found_and_variables_win(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_URL", "http://mine:3")
    env = environment()
    assert (env["REDIS_URL"], env["API_URL"]) == ("redis://a:1?x=y", "http://mine:3")


def test_a_given_file_is_taken_instead(stack: Path) -> None:
    given = stack / "other.env"
    given.write_text("REDIS_URL=redis://other\n")
    env = environment(given)
    assert env["REDIS_URL"] == "redis://other"
    assert "API_URL" not in env


def test_a_file_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"gone\.env cannot be read .*is the stack up\?"):
        environment(tmp_path / "gone.env")


def test_missing_addresses_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYSTREAM_STATE_DIR", str(tmp_path))
    need({"A": "1"}, "A")
    with pytest.raises(CliError, match=r"B, C is not set.*`paystream up`"):
        need({"A": "1", "B": ""}, "A", "B", "C")


def test_sentences_keep_their_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("[Errno 111] refused [/x]")
    warn("[red] memory")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "paystream: [Errno 111] refused [/x]\nwarning: [red] memory\n"


def test_json_is_one_document_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"path": Path("a"), "n": 1})
    assert json.loads(capsys.readouterr().out) == {"path": "a", "n": 1}
