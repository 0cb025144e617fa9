"""Event files of TensorBoard, written by array arithmetic: thousands of events in a few calls.

A scalar event is an `Event` protobuf (wall_time, step, a Summary with one Value per tag) within a
TFRecord (length, masked CRC-32C, data, masked CRC-32C). For given tags all events have the same
bytes but for the time, the step and the values; so a block of n of them is a byte matrix
`[n, length]` made of columns, and its checksums are one table look-up per changing column.
"""

from __future__ import annotations

import functools
import itertools
import os
import socket
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog

_numbers = itertools.count()


class EventFile:
    """One event file; nothing is created before the first write.

    Args:
        folder: where to write; made if it is not there. Any path that `tf.io.gfile` knows.
        start_step: the first step that will be written. TensorBoard forgets what an interrupted
            run had written in this folder from there on.
    """

    def __init__(self, folder: str, start_step: int) -> None:
        self.folder = folder
        self._start_step = start_step
        self._file: tf.io.gfile.GFile | None = None
        self._layouts: dict[tuple[tuple[str, ...], int], _Layout] = {}
        self.path = ""

    def add(
        self, tags: Sequence[str], steps: np.ndarray, times: np.ndarray, values: np.ndarray
    ) -> None:
        """Adds one event per step.

        Args:
            tags: names of the values.
            steps: int64 `[n]`.
            times: seconds since 1970, float64 `[n]`.
            values: float32 `[n, len(tags)]`.
        """
        blocks = []
        sizes = _varint_sizes(steps)
        cuts = np.flatnonzero(np.diff(sizes)) + 1  # the step's own length changes rarely
        for part in np.split(np.arange(len(steps)), cuts):
            if len(part):
                key = (tuple(tags), int(sizes[part[0]]))
                if key not in self._layouts:
                    self._layouts[key] = _Layout(*key)
                layout = self._layouts[key]
                blocks.append(layout.records(steps[part], times[part], values[part]))
        self._write(b"".join(blocks))

    def add_events(self, events: Sequence[bytes]) -> None:
        """Adds events of any kind, serialized."""
        self._write(b"".join(map(record, events)))

    def flush(self) -> None:
        """Makes all that was added readable.

        Raises:
            FileNotFoundError: the file has been deleted.
        """
        if self._file is None:
            return
        self._file.flush()
        if not tf.io.gfile.exists(self.path):
            raise FileNotFoundError(f"the event file {self.path} has been deleted")

    def close(self) -> None:
        """Flushes and closes."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            tf.io.gfile.makedirs(self.folder)
            name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
            name += f".{os.getpid()}.{next(_numbers):06d}.v2"  # readers sort names as text
            self.path = os.path.join(self.folder, name)
            self._file = tf.io.gfile.GFile(self.path, "wb")
            version = Event(wall_time=time.time(), file_version="brain.Event:2")
            start = Event(
                wall_time=time.time(),
                step=self._start_step,
                session_log=SessionLog(status=SessionLog.START),
            )
            data = record(version.SerializeToString()) + record(start.SerializeToString()) + data
        self._file.write(data)


def record(data: bytes) -> bytes:
    """A TFRecord of any bytes."""
    crc = np.array([checksum(data)], np.uint32)
    return _length_header(len(data)) + data + _mask(crc).tobytes()


def checksum(data: bytes, width: int = 64) -> int:
    """The CRC-32C of any bytes.

    A CRC is linear: rows of `width` bytes are taken side by side, and then added two by two, the
    first of each moved on by the zero bytes that stand for the second.
    """
    rows = -(-len(data) // width)
    padded = bytes(rows * width - len(data)) + data  # zeros before all else change no register
    columns = np.frombuffer(padded, np.uint8).reshape(rows, width).T
    registers = np.zeros(rows, np.uint32)
    for column in columns:
        registers = BYTE_TABLE[(registers ^ column) & 0xFF] ^ (registers >> np.uint32(8))
    moves = _powers_of_a_zero_byte()
    move = moves[width.bit_length() - 1]
    while len(registers) > 1:
        if len(registers) % 2:
            registers = np.concatenate([np.zeros(1, np.uint32), registers])
        registers = _moved(registers[0::2], move) ^ registers[1::2]
        move = _moved(move, move)
    start = np.array([0xFFFFFFFF], np.uint32)  # the initial register, past all of the message
    for power, move in enumerate(moves):
        if len(data) >> power & 1:
            start = _moved(start, move)
    return int((registers if rows else np.zeros(1, np.uint32))[0] ^ start[0]) ^ 0xFFFFFFFF


@functools.cache
def _powers_of_a_zero_byte() -> list[np.ndarray]:
    """What 1, 2, 4, ... zero bytes do to a register: a table `[4, 256]` each, by its bytes."""
    bytes_ = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32)[:, np.newaxis])
    moves = [BYTE_TABLE[bytes_ & 0xFF] ^ (bytes_ >> np.uint32(8))]
    for _ in range(31):
        moves.append(_moved(moves[-1], moves[-1]))
    return moves


def _moved(registers: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Registers moved on by the zero bytes of a table."""
    out = move[0][registers & 0xFF]
    for i in range(1, 4):
        out = out ^ move[i][(registers >> np.uint32(8 * i)) & 0xFF]
    return out


class _Layout:
    """Where everything stands in an event with these tags and a step of so many bytes."""

    def __init__(self, tags: tuple[str, ...], step_bytes: int) -> None:
        fixed: list[bytes] = []
        summary = b"".join(_value_field(tag) for tag in tags)
        head = b"\x09" + bytes(8) + b"\x10" + bytes(step_bytes) + b"\x2a" + _varint(len(summary))
        fixed = [head, summary]
        self.data = np.frombuffer(b"".join(fixed), np.uint8)
        self.step_bytes = step_bytes
        positions = [*range(1, 9), *range(10, 10 + step_bytes)]
        end = len(head)
        for tag in tags:
            end += len(_value_field(tag))
            positions += range(end - 4, end)
        self.changing = np.array(positions)
        tables, constant = _crc_tables(len(self.data))
        self.tables = tables[self.changing]
        for i in set(range(len(self.data))) - set(positions):
            constant ^= int(tables[i, self.data[i]])
        self.constant = np.uint32(constant)
        self.header = np.frombuffer(_length_header(len(self.data)), np.uint8)

    def records(self, steps: np.ndarray, times: np.ndarray, values: np.ndarray) -> bytes:
        """The TFRecords of events, one after the other."""
        n = len(steps)
        bytes_of = [
            np.ascontiguousarray(times, "<f8").view(np.uint8).reshape(n, 8),
            _varint_bytes(steps, self.step_bytes),
            np.ascontiguousarray(values, "<f4").view(np.uint8).reshape(n, -1),
        ]
        changing = np.concatenate(bytes_of, axis=1)
        crc = np.full(n, self.constant)
        for table, column in zip(self.tables, changing.T, strict=True):
            crc ^= table.take(column)
        start, size = len(self.header), len(self.data)
        out = np.empty((n, start + size + 4), np.uint8)
        out[:, :start] = self.header
        out[:, start : start + size] = self.data
        out[:, start + self.changing] = changing
        out[:, start + size :] = _mask(crc).view(np.uint8).reshape(n, 4)
        return out.tobytes()


def _value_field(tag: str) -> bytes:
    """Field 1 of a Summary: a Value with a tag and a float, which is its last four bytes."""
    name = tag.encode()
    value = b"\x0a" + _varint(len(name)) + name + b"\x15" + bytes(4)
    return b"\x0a" + _varint(len(value)) + value


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def _varint_sizes(steps: np.ndarray) -> np.ndarray:
    """How many bytes each step takes, `[n]`."""
    limits = np.array([1 << 7 * i for i in range(1, 9)], np.int64)
    return 1 + np.searchsorted(limits, steps, side="right")


def _varint_bytes(steps: np.ndarray, size: int) -> np.ndarray:
    """`[n, size]`: seven bits a byte, lowest first, the high bit set on all but the last."""
    shifts = 7 * np.arange(size, dtype=np.int64)
    parts = (np.asarray(steps, np.int64)[:, np.newaxis] >> shifts) & 0x7F
    parts[:, :-1] |= 0x80
    return parts.astype(np.uint8)


def _length_header(length: int) -> bytes:
    """The length as eight bytes, and their checksum."""
    data = np.array([length], "<u8").view(np.uint8)
    tables, constant = _crc_tables(8)
    for table, byte in zip(tables, data, strict=True):
        constant ^= int(table[byte])
    return data.tobytes() + _mask(np.array([constant], np.uint32)).tobytes()


def _mask(crc: np.ndarray) -> np.ndarray:
    """The rotation and offset that TFRecord puts on a checksum."""
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def _byte_table() -> np.ndarray:
    """CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of each single byte, `[256]`."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table.astype(np.uint32)


BYTE_TABLE = _byte_table()


def _crc_tables(length: int) -> tuple[np.ndarray, int]:
    """Tables `[length, 256]` and a constant whose xor over a message's bytes is its CRC-32C.

    A CRC is linear: what a byte contributes is the CRC of that byte alone, moved on by the zero
    bytes that follow it; the constant is what the initial register of ones contributes.
    """
    tables = np.empty((length, 256), np.uint32)
    register, moved = np.uint32(0xFFFFFFFF), BYTE_TABLE
    for i in range(length - 1, -1, -1):
        tables[i] = moved
        moved = BYTE_TABLE[moved & 0xFF] ^ (moved >> np.uint32(8))
        register = BYTE_TABLE[register & np.uint32(0xFF)] ^ (register >> np.uint32(8))
    return tables, int(register) ^ 0xFFFFFFFF
