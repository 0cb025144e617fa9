"""Progress: what a pipe gets, and what a terminal shows in the end."""

import io
import re
import sys

import pytest

from trainer.callbacks import LambdaCallback, Progress
from trainer.callbacks.progress import _State, format_value


def validate(step):
    return {"val_loss": 2 / step}


class Terminal(io.StringIO):
    """A terminal to whoever asks; `shown()` is the text without its escape codes."""

    encoding = "utf-8"

    def isatty(self):
        return True

    def shown(self):
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue())


@pytest.fixture
def terminal(monkeypatch):
    """`terminal(columns)`: from now on the output is a terminal, which is returned."""

    def begin(columns=120):
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", str(columns))
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        return screen

    return begin


def test_a_pipe_gets_a_line_per_epoch_and_one_every_ten_seconds(fit, make_run, capsys):
    fit([Progress()], make_run(steps_per_epoch=25, total_steps=50, epochs=2), validate)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["Epoch 1/2"] * 3 + ["Epoch 2/2"] * 3
    assert "10/25   40%  1.0 steps/s  0:15 left, 0:40 in all  loss 0.1000" in lines[0]
    assert "25 steps" in lines[2]
    assert lines[2].endswith("loss 0.0400  accuracy 0.5000  val_loss 0.0800")
    assert "25.0 s" in lines[5]  # of the epoch, not of the run
    assert "learning_rate" not in "".join(lines)


@pytest.mark.parametrize(("verbose", "count"), [(0, 0), (2, 3)])
def test_verbose_as_in_keras(fit, make_run, capsys, verbose, count):
    fit([Progress(verbose)], make_run(), validate)
    assert len(capsys.readouterr().out.splitlines()) == count


def test_a_run_in_steps_has_lines_where_it_was_validated_and_at_its_end(fit, make_run, capsys):
    run = make_run(epochs=None, total_steps=27)
    fit([Progress(2)], run, lambda step: validate(step) if step == 20 else {})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Step  20/27")
    assert second.startswith("Step  27/27")


def test_an_epoch_of_unknown_length(fit, make_run, capsys):
    fit([Progress(2)], make_run(steps_per_epoch=None, total_steps=None), validate)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:19] for line in lines] == [f"Epoch {i}/3  10 steps" for i in (1, 2, 3)]


def test_a_terminal_keeps_a_line_per_epoch_and_every_print(fit, make_run, terminal):
    screen = terminal()
    fit(
        [Progress(), LambdaCallback(lambda report: print("hello", report.step))],
        make_run(),
        validate,
    )
    shown = screen.shown()
    assert "getting ready" in shown
    assert re.search(r"Epoch 1/3  [━╸╺]+ +\d+/10", shown)
    for epoch in (1, 2, 3):
        assert len(re.findall(rf"Epoch {epoch}/3  10 steps .*val_loss", shown)) == 1
        assert f"hello {10 * epoch}\n" in shown
    assert screen.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in screen.getvalue()[-400:]
    assert sys.stdout is screen


def test_a_terminal_is_clean_after_an_interrupt(fit, make_run, terminal):
    screen = terminal()
    with pytest.raises(KeyboardInterrupt):
        fit([Progress()], make_run(), validate, fail_at=16)
    print("after")
    assert "\x1b[?25h" in screen.getvalue()  # the cursor is back
    last = screen.shown().splitlines()[-2:]
    assert re.match(r"\s*Epoch 2/3  +5/10 .*loss 0.0667", last[0])
    assert last[1] == "after"


def test_a_narrow_terminal_loses_no_value(fit, make_run, terminal):
    screen = terminal(columns=40)
    fit([Progress()], make_run(epochs=1, total_steps=10), validate)
    lines = screen.shown().splitlines()
    assert all(len(line) <= 42 for line in lines)
    assert "val_loss 0.2000" in screen.shown()


def test_an_unknown_length_on_a_terminal(fit, make_run, terminal):
    screen = terminal()
    fit([Progress()], make_run(steps_per_epoch=None, total_steps=None), validate)
    assert re.search(r"Epoch 1/3  [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]  \d+ steps", screen.shown())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (0.12345, "0.1235"),
        (-3.0, "-3.0000"),
        (2e-5, "2.000e-05"),
        (1e6, "1.000e+06"),
    ],
)
def test_values(value, text):
    assert format_value(value) == text


def test_refuses():
    with pytest.raises(ValueError, match="verbose=3"):
        Progress(verbose=3)


def test_a_resumed_run_begins_in_its_epoch(make_run):
    assert _State(make_run(start_step=0, step=20)).title() == "Epoch 3/3"
    assert _State(make_run(start_step=10)).title() == "Epoch 2/3"
