"""RowFile: what a resumed run had not kept is cut off, and nothing else."""

import pytest

from trainer.callbacks.rows import RowFile


def test_appends_or_begins_anew(tmp_path):
    path = tmp_path / "deep" / "rows.txt"
    RowFile(path, append=False).add("a\n")
    RowFile(path, append=True).add("ü\n")
    assert path.read_text() == "a\nü\n"
    RowFile(path, append=False).add("c\n")
    assert path.read_text() == "c\n"


def test_a_resumed_run_goes_on_after_what_it_kept(tmp_path):
    file = RowFile(tmp_path / "rows.txt", append=False)
    file.add("kept\n")
    kept = file.size
    file.add("lost\n")
    again = RowFile(tmp_path / "rows.txt", append=False)
    again.cut(kept)
    again.add("new\n")
    assert file.path.read_text() == "kept\nnew\n"
    with pytest.raises(ValueError, match="has 9 bytes, and the run that is resumed had written 99"):
        again.cut(99)
