"""The installed library on its own: right files, right imports, and a model that learns.

Run by the interpreter of an environment that has the wheel and nothing else of the project:

    python -I tests/packaging/smoke.py <the project's folder>
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from pathlib import Path

PACKAGES = ("trainer", "layers", "losses", "optimizers")


def check_files(root):
    """The distribution holds the four packages whole, and nothing beside them."""
    listed = importlib.metadata.files("gradloop")
    assert listed, "gradloop is not installed here"
    installed = {path.as_posix() for path in listed if "__pycache__" not in path.parts}
    strange = [
        name
        for name in installed
        if name.split("/")[0] not in PACKAGES and not name.split("/")[0].endswith(".dist-info")
    ]
    assert not strange, f"the wheel holds more than the four packages: {sorted(strange)}"
    wanted = {
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in [*(root / package).rglob("*.py"), root / package / "py.typed"]
    }
    missing = sorted(wanted - installed)
    assert not missing, f"not in the wheel: {missing} (has each folder its __init__.py?)"
    assert any(name.endswith("LICENSE") for name in installed), "the wheel has no licence"


def check_imports():
    """All four packages come from the installed wheel, not from a tree that happens to be near."""
    for name in PACKAGES:
        module = importlib.import_module(name)
        place = Path(module.__file__).resolve()
        assert place.is_relative_to(Path(sys.prefix).resolve()), f"{name} is from {place}"


def check_training():
    """A small model learns a line: the loss at the end is a fraction of that at the start."""
    import numpy as np

    import layers
    import optimizers
    import trainer

    x = np.linspace(-1.0, 1.0, 64, dtype=np.float32)[:, None]  # [b, 1]
    data = (x, 3.0 * x + 1.0)
    run = trainer.Trainer(
        layers.Sequential([layers.Dense(8, activation="relu"), layers.Dense(1)]),
        loss="mse",  # a name, so that names are looked up in the wheel too
        optimizer=optimizers.Adam(learning_rate=0.05),
        seed=0,
    )
    before = run.evaluate(data)["loss"]
    run.fit(data, epochs=50)
    after = run.evaluate(data)["loss"]
    assert np.isfinite(after) and after < 0.5 * before, f"loss {before} -> {after}"
    print(f"trained: loss {before:.3f} -> {after:.3f}")


def main():
    """Check files, then imports, then training."""
    check_files(Path(sys.argv[1]).resolve())
    check_imports()
    check_training()
    names = ("gradloop", "tensorflow", "keras", "numpy")
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(f"smoke: Python {sys.version.split()[0]}, {found}: the installed wheel works")


if __name__ == "__main__":
    main()
