"""Tables and pictures of results."""

import io

import pytest

from benchmarks import plot, results, showcase, tables
from tests.benchmarks.files import MACHINE

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture
def measured():
    entry = {
        "first_loss": 1.0,
        "first_step_seconds": 2.0,
        "peak_mb": 512.0,
        "losses": [0.5, 0.25],
        "test": {"loss": 0.3, "accuracy": 0.91},
        "settings": {"input": "tf.data", "steps_per_execution": 32, "jit_compile": True},
    }
    record = {
        "title": "a model",
        "batch_size": 32,
        "steps_per_round": 1000,
        "contenders": {
            "ours": {**entry, "rounds": [0.5, 0.4], "difference": [1.5e-8, 3e-7]},
            "fit": {**entry, "rounds": [2.0, 2.0]},
            "fit_best": {**entry, "rounds": [1.0, 1.0], "first_loss": 3.0},
            "orbit": {"skipped": "Orbit is not installed [why]"},
        },
    }
    return {
        "machine": MACHINE,
        "versions": {"tensorflow": "2.21.0"},
        "workloads": {"w": results.summarise(record), "x": {"title": "t", "skipped": "no [data]"}},
    }


def printed(show):
    stream = io.StringIO()
    show(tables.console(file=stream))
    return stream.getvalue()


def test_table_of_a_workload(measured):
    shown = printed(lambda out: tables.show_workload(out, "w", measured["workloads"]["w"]))
    assert max(map(len, shown.splitlines())) <= tables.PIPE_WIDTH
    (row,) = (line for line in shown.splitlines() if "ours, everything on" in line)
    assert "  ".join(row.split()).endswith(
        "2,250  4.50  4.00  ..  5.00  2.0  s  512  MB  0.3000  0.9100"
    )
    assert "Orbit: Orbit is not installed [why]" in shown
    assert "did not train the same model" in shown
    assert "tf.data, steps_per_execution=32, jit_compile=True" in shown


def test_a_workload_left_out_says_why(measured):
    shown = printed(lambda out: tables.show_workload(out, "x", measured["workloads"]["x"]))
    assert "x: left out. no [data]" in shown


def test_a_table_of_a_page():
    made = tables.markdown(["", "a", "b"], [["x", "1", ""], ["y", "", "2"]])
    assert made == "| | a | b |\n|---|---:|---:|\n| x | 1 | |\n| y | | 2 |"


def test_what_a_command_prints_becomes_a_page(measured):
    def show(out):
        made = tables.table("speeds", "", "steps/s\nmedian")
        made.add_row("ours", "10", style="bold")
        out.print(made)
        out.print("  [bold]w[/]: left\n  out")
        out.print("as [it] is", markup=False)
        out.print()

    assert tables.page(show, measured).split("\n\n") == [
        "**speeds**",
        "| | steps/s median |\n|---|---:|\n| ours | 10 |",
        "w: left",
        "out",
        "as [it] is",
        tables.machine_line(measured),
    ]


def test_machine_line(measured):
    shown = printed(lambda out: tables.show_machine(out, measured))
    assert "P, 2 cores, 8 GB" in shown and "tensorflow 2.21.0" in shown


def test_table_of_the_main_job(measured):
    shown = printed(lambda out: showcase.show(out, measured["workloads"]["w"]))
    lines = {line.strip().split("  ")[0]: line for line in shown.splitlines() if line.strip()}
    assert "4.50x" in lines["against Keras fit"] and "2.00x" in lines["against Keras fit"]
    assert "1.5e-08" in lines["weights differ from Keras fit, 1 step"]
    assert "0.9100" in lines["test accuracy"] and "0.2500" in lines["final training loss"]
    assert "Orbit is not installed [why]" in shown


COLUMNS = (("speed", "ratio", "{:.2f}x"), ("memory", "peak_mb", "{:,.0f} MB"))


@pytest.mark.parametrize(
    "draw", [plot.dots, lambda measured, path: plot.draw(measured, path, COLUMNS)]
)
def test_picture(measured, tmp_path, draw):
    draw(measured, tmp_path / "r.png")
    pixels = matplotlib.image.imread(tmp_path / "r.png")
    assert pixels.shape[0] > 200 and pixels.shape[1] > 1000
    blue = (pixels[..., 2] > pixels[..., 0] + 0.3).mean()
    assert 1e-4 < blue < 0.5  # bars or marks of ours
    with pytest.raises(ValueError, match="nothing to draw"):
        draw({**measured, "workloads": {}}, tmp_path / "r.png")


def test_who_is_left_out_for_one_reason_is_told_in_one_line():
    entry = {"skipped": "fit cannot say it"}
    found = tables.remarks({"fit": entry, "fit_best": entry, "orbit": {"skipped": "no Orbit"}})
    assert found == [
        "Keras fit; Keras fit, best setting: fit cannot say it",
        "Orbit: no Orbit",
    ]


def test_a_workload_is_held_against_its_own_reference(measured):
    """Where fit cannot say the step, the table and the picture name the hand-written loop."""
    record = measured["workloads"]["w"]
    contenders = {"ours": record["contenders"]["ours"], "hand": record["contenders"]["fit"]}
    for entry in contenders.values():
        entry["test"] = {"elbo": -90.0}
    custom = results.summarise({**record, "contenders": contenders}, "hand")
    shown = printed(lambda out: tables.show_workload(out, "vae", custom))
    assert "x hand-written" in shown and "elbo" in shown and "4.50" in shown
