"""Tables of checkpoints say what is there; brackets are text; differences stand in order."""

import re

import numpy as np
import tensorflow as tf

from trainer.checkpoint import Content, Store, tables
from trainer.checkpoint.place import Place


def _commit(store, step, **values):
    tensors = {name: tf.constant(value) for name, value in values.items()}
    metrics = {"loss": 1 / step, "learning_rate": 0.1, "val_loss": float("nan")}
    return store.commit(
        Content(
            step=step,
            values=tensors,
            weights=[n for n in tensors if not n.startswith("_run")],
            metrics=metrics,
            header={"data": {"spec": [["x", [None, 5]]]}},
            plain={"position": {"step": step}},
        )
    )


def test_a_list_shows_what_is_corrupt_and_what_is_pinned(tmp_path, capsys):
    with Store(tmp_path) as store:
        names = [_commit(store, step, w=[1.0, 2.0]) for step in (1, 2, 3)]
        store.pin(names[1])
        (tmp_path / names[2] / "manifest.json").write_bytes(b"{}")
        store.set_aside(names[0])
        tables.show_list(store)
    said = capsys.readouterr().out
    assert re.search(rf"{names[1]} .* 2 .* 0.5 .* pinned", said)
    assert re.search(rf"{names[2]} .* manifest CORRUPT", said)
    assert f"set aside: corrupt-{names[0]}" in said


def test_values_and_header_as_they_are(tmp_path, capsys):
    with Store(tmp_path) as store:
        name = _commit(store, 7, w=np.ones([2, 3], "float32"), other=[1])
        tables.show_manifest(store.path(name), store.manifest(name), re.compile("^w"))
    said = capsys.readouterr().out
    assert "[null, 5]" in said
    assert re.search(r"w +\[2, 3\] +float32 +0.0 +85.7% +weight", said)
    assert "1 of 2 values" in said


def test_the_largest_difference_comes_first(tmp_path, capsys):
    with Store(tmp_path) as store:
        first = _commit(
            store, 1, a=[1.0, 2.0], b=[1.0], c=[1.0], d=["x"], only=[1], e=[np.nan], f=[np.inf, 1.0]
        )
        second = _commit(
            store, 2, a=[1.0, 2.5], b=[4.0], c=[1.0], d=["y"], e=[1.0], f=[np.inf, 1.5]
        )
        third = _commit(
            store, 1, a=[1.0, 2.0], b=[1.0], c=[1.0], d=["x"], only=[1], e=[np.nan], f=[np.inf, 1.0]
        )
        one, two, three = (Place(store, name, True) for name in (first, second, third))
        assert tables.show_diff(one, two, 20)
        said = capsys.readouterr().out
        assert not tables.show_diff(one, three, 20)
    assert "1 values alike, 5 differ" in said
    shown = [line.split()[0] for line in said.splitlines() if re.match(r" +[abcdef] ", line)]
    assert set(shown[:2]) == {"d", "e"}  # what is not a number, or not finite, is the worst
    assert shown[2:] == ["b", "a", "f"] or shown[2:] == ["b", "f", "a"]
    assert re.search(r"b +3 +3", said)
    assert re.search(r"a +0.5 +0.25", said)
    assert re.search(r"f +0.5 ", said)  # infinity in the same place is no difference
    assert f"only in {store.path(first)}: only" in said
    assert "position/step: 1 and 2" in said
