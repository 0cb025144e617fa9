"""Images of shapes, drawn by NumPy: as large as CIFAR-10's, and the same on every machine."""

from __future__ import annotations

import numpy as np

from benchmarks.data.arrays import Data

SIDE = 32
KINDS = (
    "disc",
    "ring",
    "square",
    "frame",
    "triangle",
    "hollow triangle",
    "cross",
    "bar",
    "half disc",
    "flower",
)
SCENE_KINDS = ("disc", "square", "triangle")


def load_shapes(rows: int, test_rows: int) -> Data:
    """One shape in each image, to be named.

    Size, place, turn and colors are drawn; stripes and noise lie over everything, so that no pixel
    by itself tells anything. A shape is lighter than what is behind it, and nearly upright.

    Returns:
        Images `[rows | test_rows, 32, 32, 3]` float32 in [0, 1], labels int32 (into `KINDS`).
    """
    rng = np.random.Generator(np.random.Philox(key=SIDE))
    n = rows + test_rows
    labels = rng.integers(0, len(KINDS), n).astype(np.int32)
    images = 0.5 * _backgrounds(n, rng)
    mask = _masks([KINDS[label] for label in labels], rng, turns=0.4)
    light = 0.5 + 0.5 * rng.random([n, 1, 1, 3])
    np.copyto(images, light, where=mask[..., None])
    x = _finished(images, rng)
    return Data(x[:rows], labels[:rows], x[rows:], labels[rows:])


def load_scenes(rows: int, test_rows: int, *, shapes: int = 2) -> Data:
    """Several shapes in each image, later ones over earlier ones, to be found pixel by pixel.

    Returns:
        Images `[rows | test_rows, 32, 32, 3]` float32 in [0, 1], and maps `[..., 32, 32]` int32:
        0 where nothing is, else 1 + the kind's place in `SCENE_KINDS`.
    """
    rng = np.random.Generator(np.random.Philox(key=SIDE + shapes))
    n = rows + test_rows
    images = _backgrounds(n, rng)
    maps = np.zeros([n, SIDE, SIDE], np.int32)
    for _ in range(shapes):
        kinds = rng.integers(0, len(SCENE_KINDS), n)
        mask = _masks([SCENE_KINDS[kind] for kind in kinds], rng, turns=np.pi)
        _paint(images, mask, rng)
        maps = np.where(mask, 1 + kinds[:, None, None].astype(np.int32), maps)
    x = _finished(images, rng)
    return Data(x[:rows], maps[:rows], x[rows:], maps[rows:])


def _masks(kinds: list[str], rng: np.random.Generator, turns: float) -> np.ndarray:
    """Where a shape of each kind lies, turned, moved and sized at random: bool [n, h, w]."""
    n = len(kinds)
    center = rng.uniform(SIDE / 2 - 6, SIDE / 2 + 6, [2, n, 1, 1])
    radius = rng.uniform(6.0, 10.0, [n, 1, 1])
    turn = rng.uniform(-turns, turns, [n, 1, 1])
    down, right = np.mgrid[:SIDE, :SIDE] + 0.5
    y, x = (down - center[0]) / radius, (right - center[1]) / radius
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    masks = np.zeros([n, SIDE, SIDE], bool)
    names = np.asarray(kinds)
    for kind in set(kinds):
        of_kind = names == kind
        masks[of_kind] = _inside(kind, u[of_kind], v[of_kind])
    return masks


def _inside(kind: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether points of the shape's own axes are in it; it reaches to about 1."""
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    far, near = np.maximum(abs(u), abs(v)), np.minimum(abs(u), abs(v))
    third = 2 * np.pi / 3
    side = radius * np.cos(np.mod(angle, third) - third / 2)  # the distance along a side's normal
    shapes = {
        "disc": radius < 0.9,
        "ring": (radius > 0.5) & (radius < 0.95),
        "square": far < 0.8,
        "frame": (far > 0.45) & (far < 0.85),
        "triangle": side < 0.6,
        "hollow triangle": (side > 0.3) & (side < 0.65),
        "cross": (near < 0.28) & (far < 0.95),
        "bar": (abs(u) < 1.0) & (abs(v) < 0.35),
        "half disc": (radius < 1.0) & (u > 0.0),
        "flower": radius < 0.6 + 0.4 * np.cos(5 * angle),
    }
    return shapes[kind]


def _backgrounds(n: int, rng: np.random.Generator) -> np.ndarray:
    """One color each: [n, h, w, 3]."""
    return np.broadcast_to(rng.random([n, 1, 1, 3]), [n, SIDE, SIDE, 3]).copy()


def _paint(images: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> None:
    """Gives what lies under the mask a color that differs from the image's corner."""
    color = np.mod(images[:, :1, :1] + rng.uniform(0.35, 0.65, [len(images), 1, 1, 3]), 1.0)
    np.copyto(images, color, where=mask[..., None])


def _finished(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stripes and noise over everything."""
    n = len(images)
    waves, phase = rng.uniform(-0.8, 0.8, [2, n, 1, 1]), rng.uniform(0, 2 * np.pi, [n, 1, 1])
    down, right = np.mgrid[:SIDE, :SIDE]
    stripes = np.sin(waves[0] * down + waves[1] * right + phase)[..., None]
    noisy = images + 0.1 * stripes + rng.normal(0.0, 0.05, images.shape)
    return np.clip(noisy, 0.0, 1.0).astype(np.float32)
