"""Generated files are committed as the code would write them now."""

from pathlib import Path

from paystream.generate.files import FILES, stale_files, write

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_generated_is_stale() -> None:
    assert stale_files(ROOT) == [], "run `make generate` and commit the result"


def test_a_changed_file_is_found_and_written_anew(tmp_path: Path) -> None:
    assert len(write(tmp_path)) == len(FILES)
    (tmp_path / "docs/producers/errors.md").write_text("edited by hand")
    assert stale_files(tmp_path) == [Path("docs/producers/errors.md")]
    assert write(tmp_path) == [Path("docs/producers/errors.md")]
    assert stale_files(tmp_path) == []
