"""The manifest: it comes back as it was, and no text whatever makes anything else of it."""

import dataclasses
import hashlib
import json
import math

import hypothesis
import pytest
from hypothesis import strategies as st

from trainer.checkpoint import manifest as module
from trainer.checkpoint.errors import CheckpointError, CorruptCheckpointError
from trainer.checkpoint.files import Digest
from trainer.checkpoint.manifest import DTYPES, Manifest, Value, checksums, hash_weights

HASH = "0" * 64
DATA = "state.data-00000-of-00001"


def example(**changes):
    values = {
        "w": Value((2, 3), "float32", HASH, True),
        "n": Value((), "int64", "1" * 64, False),
        "s": Value((4,), "string", "2" * 64, False),
    }
    fields = {
        "serial": 17,
        "step": 3400,
        "time": "2026-01-02T03:04:05Z",
        "files": {DATA: Digest(HASH, 40), "state.index": Digest("f" * 64, 7)},
        "values": values,
        "header": {"threads": 2, "rate": math.inf},
        "metrics": {"loss": math.nan, "$odd": -math.inf, "é\ud800": 0.5},
        "plain": [{"$float": "nan"}, None, -0.0],
    }
    fields = {**fields, **changes}
    return Manifest(weights_sha256=hash_weights(fields["values"]), **fields)


def test_it_comes_back_as_it_was():
    given = example()
    text = given.to_json()
    read = Manifest.parse(text)
    assert repr(read) == repr(given)  # NaN equals nothing, but its text does
    assert read.to_json() == text
    assert read.weights == ["w"]
    assert read.nbytes == 47
    assert Manifest.parse(example(values={}).to_json()).values == {}


def test_its_text_is_standard_json_with_a_line_for_each_value():
    def refuse(name):
        raise AssertionError(name)

    text = example().to_json()
    assert json.loads(text, parse_constant=refuse)["step"] == 3400
    (line,) = [line for line in text.decode().splitlines() if '"w"' in line]
    assert json.loads("{" + line.rstrip(",") + "}")["w"]["shape"] == [2, 3]


def test_checksums_are_lines_of_sha256sum():
    text = example().to_json()
    assert checksums(text, example()).decode().splitlines() == [
        f"{hashlib.sha256(text).hexdigest()}  manifest.json",
        f"{HASH}  {DATA}",
        f"{'f' * 64}  state.index",
    ]


def test_the_hash_of_the_weights_is_of_names_types_shapes_and_bytes_of_weights_alone():
    values = example().values
    lines = f"{HASH} float32 [2x3] w\n"
    assert hash_weights(values) == hashlib.sha256(lines.encode()).hexdigest()
    assert hash_weights(dict(reversed(values.items()))) == hash_weights(values)
    for change in ({"shape": (3, 2)}, {"dtype": "int32"}, {"sha256": "9" * 64}, {"weight": False}):
        changed = {**values, "w": values["w"]._replace(**change)}
        assert hash_weights(changed) != hash_weights(values)


def changed(**changes):
    """The text of the example with fields of its JSON replaced."""
    fields = json.loads(example().to_json())
    fields.update(changes)
    return json.dumps(fields).encode()


def value(**changes):
    entry = {"shape": [2, 3], "dtype": "float32", "sha256": HASH, "weight": True}
    return {"values": {"w": {**entry, **changes}}}


def without(name):
    fields = json.loads(example().to_json())
    del fields[name]
    return json.dumps(fields).encode()


def a_file(name, **changes):
    index = {"sha256": HASH, "bytes": 7}
    return {"files": {"state.index": index, name: {"sha256": HASH, "bytes": 40, **changes}}}


CRAFTED = {
    "no JSON": (b"\x00\x01", "Expecting value"),
    "no object": (b"[1]", "it is no object"),
    "a list for the format": (changed(format=[1]), r"format is \[1\]"),
    "true for the format": (changed(format=True), "format is True"),
    "a field too few": (without("plain"), "missing or unknown: plain"),
    "a field too many": (changed(extra=1), "missing or unknown: extra"),
    "twice the same name": (b'{"format": 1, "format": 1}', "the key 'format' twice"),
    "deep": (changed(plain=json.loads("[" * 80 + "]" * 80)), "nests deeper"),
    "a negative serial": (changed(serial=-1), "serial is -1"),
    "a float for the step": (changed(step=1.0), "step is 1.0"),
    "a huge step": (changed(step=2**63), "step is 9223372036854775808"),
    "true for the step": (changed(step=True), "step is True"),
    "a wrong time": (changed(time="yesterday"), "time is no ISO 8601"),
    "a number for the time": (changed(time=7), "time is no ISO 8601"),
    "a list for the files": (changed(files=[]), "files is no object"),
    "no index": (changed(files={}), "files lacks state.index"),
    "a path": (changed(**a_file("../state.index")), "is not a plain file name"),
    "an absolute path": (changed(**a_file("/etc/passwd")), "is not a plain file name"),
    "a dot": (changed(**a_file("..")), "is not a plain file name"),
    "another file": (changed(**a_file("passwd")), "is no file of a checkpoint"),
    "itself": (changed(**a_file("manifest.json")), "is no file of a checkpoint"),
    "a short hash": (changed(**a_file(DATA, sha256="00")), "not 64 hexadecimal digits"),
    "a number for a hash": (changed(**a_file(DATA, sha256=0)), "not 64 hexadecimal digits"),
    "a negative length": (changed(**a_file(DATA, bytes=-1)), "bytes is -1"),
    "a file's odd field": (changed(**a_file(DATA, x=1)), "is no object of sha256, bytes"),
    "a string for a file": (changed(files={DATA: "x"}), "is no object of sha256, bytes"),
    "a list for the values": (changed(values=[]), "values is no object"),
    "an empty name": (changed(values={"": value()["values"]["w"]}), "cannot be the name"),
    "a name with a null": (changed(values={"a\0": value()["values"]["w"]}), "cannot be the name"),
    "a list for a value": (changed(values={"w": []}), "is no object of shape, dtype"),
    "an unknown dtype": (changed(**value(dtype="resource")), "dtype 'resource' is unknown"),
    "a list for a dtype": (changed(**value(dtype=["float32"])), "dtype .* is unknown"),
    "a weight that is 1": (changed(**value(weight=1)), "weight is neither"),
    "a string for a shape": (changed(**value(shape="23")), "shape is no list"),
    "too high a rank": (changed(**value(shape=[1] * 255)), "shape is no list of at most 254"),
    "a negative size": (changed(**value(shape=[-2, -3])), "a size of its shape is -2"),
    "a float for a size": (changed(**value(shape=[2.0])), "a size of its shape is 2.0"),
    "true for a size": (changed(**value(shape=[True])), "a size of its shape is True"),
    "a huge shape": (changed(**value(shape=[2**62, 2**62])), "and its data files hold 40"),
    "one element too many": (changed(**value(shape=[11])), "need 44 bytes"),
    "more strings than bytes": (changed(**value(dtype="string", shape=[41])), "need 41 bytes"),
    "other weights": (changed(weights_sha256=HASH), "is not the hash of its weights"),
    "a list for metrics": (changed(metrics=[]), "metrics is no object"),
    "a float for metrics": (changed(metrics={"$float": "nan"}), "metrics is no object"),
    "a string metric": (changed(metrics={"a": "1"}), "is no float"),
    "a whole metric": (changed(metrics={"a": 1}), "is no float"),
    "a false float": (changed(plain={"$float": "NAN"}), "is no float"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_manifest_is_refused_by_what_is_wrong(case):
    text, message = CRAFTED[case]
    with pytest.raises(CorruptCheckpointError, match=message) as caught:
        Manifest.parse(text)
    assert len(str(caught.value)) < 500


def test_the_text_and_the_number_of_entries_are_bounded(monkeypatch):
    text = changed()
    monkeypatch.setattr(module, "MAX_VALUES", 2)
    with pytest.raises(CorruptCheckpointError, match="values has 3 entries, and 2 are the most"):
        Manifest.parse(text)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(CorruptCheckpointError, match="longer than 100 bytes"):
        Manifest.parse(b" " * 101)


def test_another_format_is_another_versions_not_corrupt():
    with pytest.raises(CheckpointError, match=r"has format 2.*version that wrote it") as caught:
        Manifest.parse(changed(format=2, new_field=1))
    assert not isinstance(caught.value, CorruptCheckpointError)


def test_what_could_not_be_read_is_not_written():
    with pytest.raises(ValueError, match=r"cannot be a checkpoint's manifest.*step is -1"):
        dataclasses.replace(example(), step=-1).to_json()
    with pytest.raises(TypeError, match=r"header\['x'\] is a set"):
        example(header={"x": set()}).to_json()


@hypothesis.given(st.data())
@hypothesis.settings(max_examples=300)
def test_text_with_a_hole_or_a_changed_part_is_read_as_itself_or_refused(data):
    text = bytearray(changed())
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 8))
    text[at : at + length] = data.draw(st.binary(max_size=8))
    try:
        read = Manifest.parse(bytes(text))
    except CheckpointError:
        return
    assert Manifest.parse(read.to_json()).to_json() == read.to_json()


def test_the_dtypes_and_their_sizes_are_tensorflows():
    import tensorflow as tf

    sizes = {name: tf.as_dtype(name).size for name in DTYPES if name != "string"}
    assert sizes == {name: size for name, size in DTYPES.items() if name != "string"}
