"""The commands, as a user would type them."""

import pytest
import tensorflow as tf

from trainer.checkpoint import Content, Store
from trainer.checkpoint.__main__ import main


@pytest.fixture
def run(tmp_path):
    with Store(tmp_path / "run") as store:
        for step in (1, 2, 3, 4):
            values = {"w": tf.constant([float(step)])}
            store.commit(Content(step=step, values=values, metrics={"loss": abs(step - 2.2)}))
    return tmp_path / "run"


def test_list_show_verify(run, capsys):
    assert main(["list", str(run)]) == 0
    assert capsys.readouterr().out.count("-step-") == 4
    assert main(["show", str(run / "000002-step-2"), "--values", "w"]) == 0
    assert "step 2" in capsys.readouterr().out
    assert main(["verify", str(run)]) == 0
    assert capsys.readouterr().out.count("good: 1 values") == 4


def test_verify_tells_by_its_exit_code(run, capsys):
    file = run / "000003-step-3" / "state.data-00000-of-00001"
    file.write_bytes(b"x" + file.read_bytes()[1:])
    assert main(["verify", str(run)]) == 1
    said = capsys.readouterr().out
    assert "000003-step-3  CORRUPT" in said
    assert said.count("good") == 3
    assert main(["verify", str(run / "000002-step-2")]) == 0


def test_diff(run, capsys):
    assert main(["diff", str(run / "000002-step-2"), str(run)]) == 1
    assert "w" in capsys.readouterr().out
    assert main(["diff", str(run), str(run)]) == 0


def test_prune_and_pins(run, capsys):
    words = ["prune", str(run), "--keep_last=1", "--keep_best=1", "--monitor=loss"]
    assert main(["pin", str(run / "000001-step-1")]) == 0
    assert main([*words, "--dry_run"]) == 0
    assert "would remove 000003-step-3" in capsys.readouterr().out
    assert main(words) == 0
    names = Store(run).names()
    assert names == ["000001-step-1", "000002-step-2", "000004-step-4"]
    assert main(["unpin", str(run / "000001-step-1")]) == 0
    assert main(words) == 0
    assert Store(run).names() == names[1:]
    assert main(words) == 0
    assert "nothing to remove" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "nowhere"], "has no checkpoints"),
        (["show", "{run}/000009-step-9"], "it has"),
        (["prune", "{run}", "--keep_last=0"], "keep_last=0"),
        (["prune", "{run}", "--keep_best=1"], "monitor="),
        (["certify", "train.py"], "file.py:function"),
    ],
)
def test_wrong_calls_say_what_is_wrong(run, capsys, words, said):
    assert main([word.format(run=run) for word in words]) == 2
    assert said in capsys.readouterr().err


def test_words_that_are_no_command(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["lst"])
    assert "invalid choice: 'lst'" in capsys.readouterr().err
