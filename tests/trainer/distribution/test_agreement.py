"""Workers that differ are refused, all of them, by the name of what differs."""

import sys

import numpy as np
import pytest
import tensorflow as tf

import layers
import optimizers
from tests.trainer.pairs import together
from trainer import Checkpoint, Every, Replication, Trainer
from trainer.distribution import agreement
from trainer.distribution.agreement import Disagreement, check, differences, program, tell
from trainer.distribution.replicas import Replicas


def test_workers_that_agree_go_on():
    facts = {"seed": 3, "data": {"kind": "arrays", "rows": 50}, "more": [1, None, "x"]}
    assert together(lambda desk: check(desk, lambda: dict(facts))) == [None, None]
    assert check(Replicas(), lambda: 1 / 0) is None


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([{"seed": 0}, {"seed": 1}], "seed: 0 on worker 0, 1 on worker 1"),
        (
            [{"data": {"rows": 50, "kind": "arrays"}}, {"data": {"rows": 60, "kind": "arrays"}}],
            "data/rows: 50 on worker 0, 60 on worker 1",
        ),
        ([{"a": 1}, {"a": 1, "b": None}], "b: none on worker 0, null on worker 1"),
        ([{"code": {"train.py": "12ab"}}, {"code": {"train.py": "34cd"}}], "code/train.py"),
    ],
)
def test_all_are_refused_and_told_why(facts, said):
    errors = together(lambda desk: check(desk, lambda: facts[desk.worker]))
    assert all(isinstance(error, Disagreement) for error in errors)
    assert [error.code for error in errors] == [78, 78]
    assert said in str(errors[0])
    assert str(errors[0]) == str(errors[1])


def test_code_that_only_some_have_loaded_does_not_matter():
    facts = [{"code": {"train": "1", "writer": "2"}}, {"code": {"train": "1"}}]
    assert together(lambda desk: check(desk, lambda: facts[desk.worker])) == [None, None]


def test_long_differences_are_cut_and_counted():
    facts = [{"code": {f"m{i}": w for i in range(25)}} for w in ("a" * 500, "b" * 500)]
    error = together(lambda desk: check(desk, lambda: facts[desk.worker]))[0]
    assert "and 5 more" in str(error)
    assert len(str(error)) < 6000
    lines = differences(facts)
    assert lines[0].split(" on worker ")[0] != lines[0].split(", ")[-1].split(" on worker ")[0]


def test_texts_of_any_length_arrive_in_order():
    for texts in (["same", "same"], ["", "größer ≠"], ["a" * 3000, "b"]):
        assert together(lambda desk, texts=texts: tell(desk, texts[desk.worker])) == [texts, texts]
    assert tell(Replicas(), "alone") == ["alone"]


def test_the_program_is_told_by_what_decides_it(tmp_path, monkeypatch):
    """The script, and modules beside it: a changed file is another program."""
    script, beside = tmp_path / "train.py", tmp_path / "mine.py"
    script.write_text("1\n")
    beside.write_text("2\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    __import__("mine")
    first = program({"seed": 0})
    assert {"train.py", "mine", "trainer"} <= set(first["code"])
    assert program({"seed": 0}) == first
    beside.write_text("3\n")
    second = program({"seed": 1})
    found = differences([first, second])
    assert [line.split(":")[0] for line in found] == ["seed", "code/mine"]
    assert agreement.Disagreement("x").code == 78


def test_variables_that_part_are_found_at_the_next_checkpoint():
    """By one bit, on all workers, by name."""
    w = np.float32([1.0, 2.0])
    text = tf.constant("x")

    def of(desk, other):
        values = {"w": tf.constant(other if desk.worker else w), "b": tf.zeros([]), "text": text}
        return agreement.same(desk, values, 30)

    assert together(lambda desk: of(desk, w)) == [None, None]
    errors = together(lambda desk: of(desk, np.nextafter(w, 3, dtype=np.float32)))
    assert all(isinstance(error, Disagreement) for error in errors)
    assert "no checkpoint of step 30 is taken" in str(errors[0])
    assert "variables/w: " in str(errors[0]) and "variables/b" not in str(errors[0])


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.int64, tf.bool, tf.uint8])
@pytest.mark.parametrize("shape", [[], [3, 7], [0], [8]])
def test_any_one_bit_that_differs_is_seen(dtype, shape):
    """Also in the last bytes, which fill no number of 64 bits; and it is a sum modulo 2**64."""
    array = agreement._array(tf.cast(tf.ones(shape), dtype))
    for at in range(array.nbytes):
        data = bytearray(array.tobytes())
        data[at] ^= 1 << (at % 8)
        assert agreement._bits(np.frombuffer(data, np.uint8)) != agreement._bits(array)
    every = np.full(3, -1).astype(np.int64)
    assert agreement._bits(every) == f"{2**64 - 3:016x}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"precision": "mixed_bfloat16"}, "precision: "),
        ({"gradient_norm": True}, "gradient_norm: "),
        ({"strategy": Replication(gradients="bfloat16")}, "replication/gradients: "),
        ({"recompute": "model"}, "recompute: "),
        ({"optimizer": optimizers.AdamW(weight_decay=0.5)}, "optimizer/weight_decay: "),
    ],
)
def test_what_the_trainer_is_given_is_compared(given, said, monkeypatch):
    """Both checks at the start, of a trainer with other settings."""

    def facts(settings):
        found = {}
        monkeypatch.setattr(agreement, "check", lambda _, facts: found.update(facts()))
        Trainer(layers.Dense(1), loss="mse", **{"optimizer": optimizers.AdamW(), **settings})
        return found

    lines = differences([facts({}), facts(given)])
    assert any(said in line for line in lines), lines


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"validation_freq": 2}, "fit/validation_freq: "),
        ({"validation_freq": Every(steps=3)}, "fit/validation_freq: "),
        ({"steps_per_epoch": 2}, "fit/steps_per_epoch: "),
    ],
)
def test_what_fit_is_given_is_compared(given, said, monkeypatch):
    x = np.ones([8, 2], "float32")

    def facts(settings):
        found = {}
        trainer = Trainer(layers.Dense(1), loss="mse", optimizer="sgd", jit=False)
        given = {"validation_data": (x, x[:, :1]), "batch_size": 2, "verbose": 0, **settings}
        with monkeypatch.context() as patch:
            patch.setattr(agreement, "check", lambda _, facts: found.update(facts()))
            trainer.fit(x, x[:, :1], **given)
        return found

    lines = differences([facts({}), facts(given)])
    assert len(lines) == 1 and said in lines[0]


def test_when_checkpoints_are_taken_is_compared(tmp_path, monkeypatch):
    x = np.ones([8, 2], "float32")
    found = []
    for name, steps in (("a", 2), ("b", 3)):
        settings = Checkpoint(tmp_path / name, when=Every(steps=steps))
        trainer = Trainer(
            layers.Dense(1), loss="mse", optimizer="sgd", jit=False, checkpoint=settings
        )
        monkeypatch.setattr(agreement, "check", lambda _, facts, lead="": found.append(facts()))
        trainer.fit(x, x[:, :1], steps=2, verbose=0)
    lines = differences([facts for facts in found if "checkpoint" in facts])
    assert [line.partition(":")[0] for line in lines] == ["checkpoint"]
    assert lines[0].startswith('checkpoint: "Every(steps=2)"')
