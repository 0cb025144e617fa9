"""The bytes per parameter that the page tells are those of the slots; factored ones are smaller."""

from __future__ import annotations

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

import optimizers

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "optimizers.md"
SIDE = 512
OTHERWISE = {  # what the page says in words
    "`SGD` with momentum": lambda: optimizers.SGD(0.1, 0.9),
    '`Adam` after `store_slots("bfloat16")`': lambda: narrow(optimizers.Adam()),
    "`Adam` with `amsgrad`": lambda: optimizers.Adam(amsgrad=True),
    "`RMSprop` centred with momentum": lambda: optimizers.RMSprop(momentum=0.9, centered=True),
    "`use_ema`": lambda: optimizers.SGD(use_ema=True),
    "`EMA`": lambda: optimizers.EMA(optimizers.SGD()),
    "`SWA`": lambda: optimizers.SWA(optimizers.SGD()),
    "`Lookahead`": lambda: optimizers.Lookahead(optimizers.SGD()),
    "`SAM`": lambda: optimizers.SAM(optimizers.SGD()),
    "`Accumulate`": lambda: optimizers.Accumulate(optimizers.SGD(), 2),
}


def narrow(optimizer):
    optimizer.store_slots("bfloat16")
    return optimizer


def kept(optimizer, shape):
    """Bytes of all slots of one variable."""
    optimizer.build([tf.Variable(tf.zeros(shape), name="kernel")])
    assert all(v.dtype.size < 8 or v.shape.rank == 0 for v in optimizer.variables)
    arrays = [v for v in optimizer.variables if v.shape.rank]
    return sum(v.dtype.size * v.shape.num_elements() for v in arrays)


def rows():
    """(bytes, label) of every entry of the page's table."""
    table = PAGE.read_text().split("## Bytes per parameter")[1].split("## ")[0]
    for number, cell in re.findall(r"^\| (\+?[\d.]+) \| (.*) \|$", table, re.MULTILINE):
        cell = re.sub(r" \((?!\")[^)]*\)", "", cell.removeprefix("each of "))
        yield from ((float(number), label) for label in re.split("[,;] ", cell))


def test_the_page_s_table_is_true_and_whole():
    told = list(rows())
    for number, label in told:
        make = OTHERWISE.get(label) or getattr(optimizers, label.strip("`"))
        got = kept(make(), [SIDE, SIDE]) / SIDE**2
        assert got == pytest.approx(number, rel=0.03), label
    assert {label for _, label in told} == {*OTHERWISE, *(f"`{n}`" for n in optimizers.names())}


def test_factored_moments_grow_with_the_sides_only():
    """m + n numbers for m n: of a 1,000 x 2,000 matrix 12 kB where Adam keeps 16 MB."""
    assert kept(optimizers.Adafactor(), [1000, 2000]) == 4 * (1000 + 2000)
    assert kept(optimizers.Adam(), [1000, 2000]) == 4 * 2 * 1000 * 2000
    assert kept(optimizers.Adafactor(), [3, 3, 20, 30]) == 4 * 9 * (20 + 30)  # of each window
    assert kept(optimizers.Adafactor(), [100]) == 4 * 100  # nothing to factor


@pytest.mark.filterwarnings("ignore:Sophia updates without")
def test_slots_of_16_bits_train_as_those_of_32(rng):
    """Of all rules with slots of their variable's shape: half the bytes, nearly the same path."""
    target = np.float32(rng.normal(size=(32, 32)))
    made = []
    for name in optimizers.names():
        if name in ("SGD", "Adafactor"):  # no slot, and none of the variable's shape
            continue
        rate = {"Prodigy": 1.0, "Adadelta": 30.0, "Ftrl": 1.0}.get(name, 0.02)
        pair = [getattr(optimizers, name)(rate) for _ in range(2)]
        narrow(pair[1])
        for optimizer in pair:
            weight = tf.Variable(tf.zeros([32, 32]), name="kernel")
            optimizer.build([weight])
            made.append((name, optimizer, weight))
        assert tf.bfloat16 in {v.dtype for v in pair[1].variables}, name

    for _ in range(15):  # not compiled: that is most of the time
        for _, optimizer, weight in made:
            optimizer.apply([weight - target], [weight])
    apart = {}
    for (name, _, wide), (_, _, small) in zip(made[::2], made[1::2], strict=True):
        apart[name] = np.linalg.norm(small - wide) / np.linalg.norm(wide)
    # SOAP turns by the eigenvectors of nearly equal eigenvalues: another path, as far along.
    turned = apart.pop("SOAP")
    assert max(apart.values()) < 0.04 and turned < 0.5, apart


@pytest.mark.parametrize("name", ["SOAP", "Shampoo"])
def test_bases_of_a_square_keep_their_bits(name):
    """They have the shape of their variable by chance; 3 digits of a root are none."""
    optimizer = narrow(getattr(optimizers, name)())
    optimizer.build([tf.Variable(tf.zeros([8, 8]), name="kernel")])
    dtypes = {slot: found[0].dtype for slot, found in optimizer.slots.items()}
    assert dtypes["momentum"] == tf.bfloat16
    sides = {slot for slot in dtypes if slot.startswith(("left", "right"))}
    assert len(sides) == 4 and {dtypes[slot] for slot in sides} == {tf.float32}
