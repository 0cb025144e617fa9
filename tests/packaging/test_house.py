"""The laws of the house: who may import whom, how large things may grow, what has a test."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

PACKAGES = ("trainer", "layers", "losses", "optimizers")
KERAS = ("keras", "tf_keras", "tf.keras", "tensorflow.keras")
MOST_LINES_OF_A_FILE = 450
MOST_LINES_OF_A_FUNCTION = 90

# Turns names into objects, so it alone may name the siblings, and only inside functions.
REACHES_OVER = "trainer/names.py"

# Sources without a test file of their own, each with its reason.
NO_MIRROR: dict[str, str] = {
    "trainer/roles.py": "types only: protocols and named tuples without code",
}


def imports(tree):
    """Every (module named, line, whether inside a function) that importing or running names."""

    def walk(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue  # for the type checker only: nothing is imported
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, child.lineno, inside
            elif isinstance(child, ast.ImportFrom) and child.level == 0:
                for alias in child.names:
                    yield f"{child.module}.{alias.name}", child.lineno, inside
            elif isinstance(child, ast.Call):
                called = ast.unparse(child.func).split(".")[-1]
                first = child.args[0] if child.args else None
                if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
                    yield str(first.value), child.lineno, inside
            elif isinstance(child, ast.Attribute) and ast.unparse(child) in KERAS:
                yield ast.unparse(child), child.lineno, inside
            is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from walk(child, inside or is_function)

    yield from walk(tree, False)


def within(name, modules):
    """Whether a dotted name is one of the modules or lies in one."""
    return any(name == module or name.startswith(module + ".") for module in modules)


def broken_imports(path, text):
    """The lines of one source that break the law, as messages."""
    package = path.split("/")[0]
    siblings = [other for other in PACKAGES if other != package]
    for name, line, inside in imports(ast.parse(text)):
        lawful = path == REACHES_OVER and inside
        if within(name, KERAS) or (within(name, siblings) and not lawful):
            yield f"{path}:{line} imports {name}"


def test_packages_import_neither_each_other_nor_keras(root, sources):
    broken = [
        message
        for path in sources
        for message in broken_imports(path.as_posix(), (root / path).read_text(encoding="utf-8"))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("layers/dense.py", "import losses"),
        ("layers/dense.py", "from optimizers.adam import Adam"),
        ("layers/dense.py", "def f():\n    import trainer.sums"),
        ("layers/dense.py", "import keras.layers as kl"),
        ("layers/dense.py", "from tensorflow import keras"),
        ("layers/dense.py", "import tensorflow as tf\nx = lambda: tf.keras.layers.Dense(1)"),
        ("layers/dense.py", "import importlib\nx = importlib.import_module('losses')"),
        ("trainer/names.py", "import losses"),
        ("trainer/task.py", "def f():\n    from losses import get"),
    ],
)
def test_the_law_is_seen_when_broken(path, text):
    assert list(broken_imports(path, text))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("layers/dense.py", "from layers.base import Layer\nfrom . import base"),
        ("layers/dense.py", "from .losses import x\nimport lossesque"),
        ("trainer/names.py", "def f():\n    import losses"),
        ("losses/a.py", "if TYPE_CHECKING:\n    import trainer"),
    ],
)
def test_the_law_allows_what_is_lawful(path, text):
    assert not list(broken_imports(path, text))


IMPORT_EACH = """
import importlib, sys
import tensorflow
with_tensorflow = set(sys.modules)
packages = sys.argv[1:]
for package in packages:
    importlib.import_module(package)
    new = set(sys.modules) - with_tensorflow
    bad = {name.split(".")[0] for name in new} & {*packages, "keras", "tf_keras"} - {package}
    assert not bad, f"importing {package} loaded {sorted(bad)}"
    for name in new:
        if name.split(".")[0] == package:
            del sys.modules[name]
"""


def test_importing_one_package_loads_no_other(root):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, *PACKAGES],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_sources_say_what_they_are_for(root, sources):
    silent = [
        str(path)
        for path in sources
        if not ast.get_docstring(ast.parse((root / path).read_text(encoding="utf-8")))
    ]
    assert not silent, f"no module docstring: {silent}"


def test_every_folder_is_a_package(root, sources):
    """A folder without `__init__.py` is left out of the wheel without a word."""
    folders = {path.parent for path in sources}
    bare = sorted(str(path) for path in folders if not (root / path / "__init__.py").exists())
    assert not bare, f"no __init__.py in: {bare}"


def docstring_lines(node):
    """How many lines of a function are its docstring: telling more does not make code longer."""
    if ast.get_docstring(node) is None:
        return 0
    return node.body[0].end_lineno - node.body[0].lineno + 1


def test_files_and_functions_stay_small(root, sources):
    large = []
    for path in sources:
        text = (root / path).read_text(encoding="utf-8")
        if text.count("\n") >= MOST_LINES_OF_A_FILE:
            large.append(f"{path}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = node.end_lineno - node.lineno + 1 - docstring_lines(node)
                if lines > MOST_LINES_OF_A_FUNCTION:
                    large.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
    assert not large, "\n".join(large)


def mirrors(root, path):
    """The test files of one source: test_<name>.py, or several test_<name>_<part>.py."""
    folder = root / "tests" / path.parent
    return [*folder.glob(f"test_{path.stem}.py"), *folder.glob(f"test_{path.stem}_*.py")]


def test_every_source_has_its_tests(root, sources):
    missing = [
        path.as_posix()
        for path in sources
        if path.name != "__init__.py"  # these only gather names
        and path.as_posix() not in NO_MIRROR
        and not mirrors(root, path)
    ]
    assert not missing, f"no tests/<folder>/test_<source>.py for: {missing}"


def test_exceptions_are_still_needed(root, sources):
    names = {path.as_posix(): path for path in sources}
    stale = [name for name in NO_MIRROR if name not in names or mirrors(root, names[name])]
    assert not stale, f"take out of NO_MIRROR: {stale}"


def test_only_the_package_gathers_trainer(root, sources):
    """The top of the package: `trainer/trainer.py` is imported by nothing below it."""
    guilty = []
    for path in sources:
        if path.parts[0] != "trainer" or path.as_posix() == "trainer/__init__.py":
            continue
        tree = ast.parse((root / path).read_text(encoding="utf-8"))
        if any(
            within(name, ["trainer.trainer"]) and not inside for name, _, inside in imports(tree)
        ):
            guilty.append(path.as_posix())
    assert not guilty, f"import trainer.trainer: {guilty}"
