"""The manifest of a checkpoint: what it holds, with a hash of every file and every value."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from trainer.checkpoint import exact_json
from trainer.checkpoint.errors import CheckpointError, CorruptCheckpointError
from trainer.checkpoint.files import Digest, plain

FORMAT = 1
MANIFEST = "manifest.json"
CHECKSUM = "manifest.json.sha256"
DATA = "state"  # the prefix of the files that TensorFlow writes
INDEX = f"{DATA}.index"
MAX_BYTES = 64 * 2**20  # of a manifest
MAX_VALUES = 200_000
MAX_FILES = 4096
MAX_RANK = 254  # TensorFlow's

# Bytes of one element; of a string at least one, that of its length. Quantised types, handles and
# variants are not state, and no two versions of TensorFlow agree on types below one byte.
DTYPES = {
    "bool": 1,
    **{f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": bits // 8 for bits in (16, 32, 64)},
    "bfloat16": 2,
    "float8_e5m2": 1,
    "float8_e4m3fn": 1,
    "float8_e4m3b11fnuz": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "complex64": 8,
    "complex128": 16,
    "string": 1,
}


class Value(NamedTuple):
    """One tensor of a checkpoint."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str  # of its elements' bytes, see `bundle.hash_value`
    weight: bool  # whether it is one of the model's weights

    @property
    def nbytes(self) -> int:
        """The size of its elements; of strings the least it can be."""
        return math.prod(self.shape) * DTYPES[self.dtype]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a checkpoint holds.

    Attributes:
        serial: its number in the folder; later ones are higher.
        step: updates made when it was taken.
        time: when that was, as ISO 8601 in UTC, for people: nothing depends on it.
        files: name -> hash and length, of all files but the manifest and its checksum.
        values: name -> shape, dtype and hash of every tensor.
        weights_sha256: one hash of all model weights, see `hash_weights`.
        header: what the writer told of itself (versions, threads, ways of compiling, data).
        metrics: the logged values at that moment.
        plain: whatever else belongs to the state and is no tensor.
        format: of the manifest itself.
    """

    serial: int
    step: int
    time: str
    files: Mapping[str, Digest]
    values: Mapping[str, Value]
    weights_sha256: str
    header: Any
    metrics: Mapping[str, float]
    plain: Any
    format: int = FORMAT

    @property
    def weights(self) -> list[str]:
        """The names of the model's weights."""
        return [name for name, value in self.values.items() if value.weight]

    @property
    def nbytes(self) -> int:
        """The size of all files that are listed."""
        return sum(file.bytes for file in self.files.values())

    def to_json(self) -> bytes:
        """The text of the manifest.

        Raises:
            TypeError: header, metrics or plain hold what JSON cannot.
            ValueError: it would be longer than 64 MiB, or `parse` would refuse it otherwise.
        """
        fields = {
            "format": self.format,
            "serial": self.serial,
            "step": self.step,
            "time": self.time,
            "files": {name: file._asdict() for name, file in self.files.items()},
            "values": {
                name: {**value._asdict(), "shape": list(value.shape)}
                for name, value in self.values.items()
            },
            "weights_sha256": self.weights_sha256,
            "header": exact_json.encode(self.header, "header"),
            "metrics": exact_json.encode(self.metrics, "metrics"),
            "plain": exact_json.encode(self.plain, "plain"),
        }
        lines = [f"{json.dumps(name)}: {_rows(field)}" for name, field in fields.items()]
        text = ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")
        try:
            Manifest.parse(text)
        except CorruptCheckpointError as error:
            raise ValueError(f"this cannot be a checkpoint's manifest: {error}") from error
        return text

    @staticmethod
    def parse(text: bytes) -> Manifest:
        """Reads and checks a manifest; whatever the text is, no other errors come of it.

        Raises:
            CorruptCheckpointError: it is not what `to_json` writes; the message says where.
            CheckpointError: its format is another version's.
        """
        if len(text) > MAX_BYTES:
            raise CorruptCheckpointError(f"{MANIFEST} is longer than {MAX_BYTES:,} bytes.")
        try:
            fields = exact_json.loads(text)
            return _read(fields)
        except ValueError as error:
            raise CorruptCheckpointError(f"{MANIFEST}: {error}.") from error


def checksums(text: bytes, manifest: Manifest) -> bytes:
    """The second file: hashes of the manifest and of all files, as `sha256sum -c` reads them."""
    first = Digest(hashlib.sha256(text).hexdigest(), len(text))
    lines = [
        f"{file.sha256}  {name}\n" for name, file in {MANIFEST: first, **manifest.files}.items()
    ]
    return "".join(lines).encode("ascii")


def hash_weights(values: Mapping[str, Value]) -> str:
    """One hash of the model's weights: SHA-256 over a line of each, in the order of their names.

    Two checkpoints with the same hash hold the same weights, bit for bit.
    """
    digest = hashlib.sha256()
    for name, value in sorted(values.items()):
        if value.weight:
            shape = "x".join(map(str, value.shape))
            digest.update(f"{value.sha256} {value.dtype} [{shape}] {name}\n".encode())
    return digest.hexdigest()


def check_name(name: Any) -> str:
    """The name of a value itself, if it can be one.

    Raises:
        ValueError: it is empty (TensorFlow ends the process over it), longer than 4,096
            characters, or holds a null character or half a surrogate.
    """
    if (
        not isinstance(name, str)
        or not name
        or len(name) > 4096
        or re.search("[\0\ud800-\udfff]", name)
    ):
        raise ValueError(f"{str(name)[:80]!r} cannot be the name of a value")
    return name


def _rows(field: Any) -> str:
    """JSON with one line per entry of an object."""
    if not isinstance(field, dict) or not field:
        return json.dumps(field, allow_nan=False)
    rows = [
        f" {json.dumps(key)}: {json.dumps(item, allow_nan=False)}" for key, item in field.items()
    ]
    return "{\n" + ",\n".join(rows) + "\n}"


# Reading: every helper takes what should be there by its type, and names what is not.


def _read(fields: Any) -> Manifest:
    names = [field.name for field in dataclasses.fields(Manifest)]
    if not isinstance(fields, dict):
        raise ValueError("it is no object")
    if _count(fields.get("format"), "format") != FORMAT:
        raise CheckpointError(
            f"{MANIFEST} has format {fields['format']}, and this version of gradloop reads format "
            f"{FORMAT} alone. Read it with the version that wrote it."
        )
    if set(fields) != set(names):
        odd = sorted(set(fields) ^ set(names))
        raise ValueError(f"these fields are missing or unknown: {', '.join(odd)[:200]}")
    files = {
        _file_name(name): Digest(**_entry(file, Digest, f"files[{name!r}]"))
        for name, file in _object(fields, "files", MAX_FILES).items()
    }
    if INDEX not in files:
        raise ValueError(f"files lacks {INDEX}")
    values = {
        check_name(name): _value(value, f"values[{name[:80]!r}]")
        for name, value in _object(fields, "values", MAX_VALUES).items()
    }
    implied = sum(value.nbytes for value in values.values())
    held = sum(file.bytes for name, file in files.items() if name.startswith(f"{DATA}.data-"))
    if implied > held:
        raise ValueError(f"its values need {implied:,} bytes, and its data files hold {held:,}")
    if fields["weights_sha256"] != hash_weights(values):
        raise ValueError("weights_sha256 is not the hash of its weights")
    return Manifest(
        serial=_count(fields["serial"], "serial"),
        step=_count(fields["step"], "step"),
        time=_time(fields["time"]),
        files=files,
        values=values,
        weights_sha256=fields["weights_sha256"],
        header=exact_json.decode(fields["header"]),
        metrics=_metrics(_object(fields, "metrics", MAX_VALUES)),
        plain=exact_json.decode(fields["plain"]),
    )


def _object(fields: dict[str, Any], name: str, most: int) -> dict[str, Any]:
    found = fields[name]
    if not isinstance(found, dict):
        raise ValueError(f"{name} is no object")
    if len(found) > most:
        raise ValueError(f"{name} has {len(found):,} entries, and {most:,} are the most")
    return found


def _entry(found: Any, kind: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict) or set(found) != set(kind._fields):
        raise ValueError(f"{where} is no object of {', '.join(kind._fields)}")
    if not isinstance(found["sha256"], str) or not re.fullmatch("[0-9a-f]{64}", found["sha256"]):
        raise ValueError(f"{where}: sha256 is not 64 hexadecimal digits")
    if "bytes" in found:
        _count(found["bytes"], f"{where}: bytes")
    return found


def _file_name(name: str) -> str:
    if plain(name) in (MANIFEST, CHECKSUM) or not name.startswith(f"{DATA}."):
        raise ValueError(f"files: {name!r} is no file of a checkpoint")
    return name


def _value(found: Any, where: str) -> Value:
    value = Value(**_entry(found, Value, where))
    if not isinstance(value.dtype, str) or value.dtype not in DTYPES:
        raise ValueError(f"{where}: dtype {str(value.dtype)[:80]!r} is unknown")
    if type(value.weight) is not bool:
        raise ValueError(f"{where}: weight is neither true nor false")
    if not isinstance(value.shape, list) or len(value.shape) > MAX_RANK:
        raise ValueError(f"{where}: shape is no list of at most {MAX_RANK} sizes")
    sizes = tuple(_count(size, f"{where}: a size of its shape") for size in value.shape)
    return value._replace(shape=sizes)


def _metrics(found: dict[str, Any]) -> dict[str, float]:
    metrics = exact_json.decode(found)
    if not isinstance(metrics, dict):
        raise ValueError("metrics is no object")
    for name, value in metrics.items():
        if type(value) is not float:
            raise ValueError(f"metrics[{name[:80]!r}] is no float")
    return metrics


def _count(found: Any, where: str) -> int:
    if type(found) is not int or not 0 <= found < 2**63:
        raise ValueError(f"{where} is {str(found)[:80]}, not a whole number from 0 on")
    return found


def _time(found: Any) -> str:
    if not isinstance(found, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found):
        raise ValueError("time is no ISO 8601 time in UTC")
    return found
