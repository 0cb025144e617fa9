"""Profiler writes a trace of its window, in the place where TensorBoard looks for it."""

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

import layers
from trainer import At, Trainer
from trainer.callbacks import CallbackError, LambdaCallback, Profiler


def events(path):
    """(name, its statistics) of each event on the host, read by TensorFlow's own protocol."""
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    (host,) = [plane for plane in space.planes if plane.name == "/host:CPU"]
    for line in host.lines:
        for event in line.events:
            stats = {host.stat_metadata[s.metadata_id].name: s.int64_value for s in event.stats}
            yield host.event_metadata[event.metadata_id].name, stats


@pytest.mark.parametrize(
    ("first", "steps", "traced"), [(1, 3, (1, 3)), (5, 4, (5, 8)), (20, 9, (20, 21)), (99, 1, None)]
)
def test_traces_its_window(data, tmp_path, first, steps, traced):
    profiler = Profiler(tmp_path, first, steps)
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    trainer.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=[profiler])
    assert profiler.traced == traced
    written = list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))
    assert len(written) == (1 if traced else 0)


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_holds_the_operations_of_each_step_and_marks_the_calls(data, tmp_path, jit):
    """The window is of two calls, as another callback is due within."""
    callbacks = [Profiler(tmp_path, 8, 6), LambdaCallback(lambda report: None, when=At(9))]
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=jit)
    trainer.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
    (path,) = tmp_path.glob("plugins/profile/*/*.xplane.pb")
    found = list(events(path))
    assert [stats["step_num"] for name, stats in found if name == "train"] == [9, 13]
    products = [n for n, _ in found if ("MatMul" in n or "dot" in n) and "end: " not in n]
    times = {name: products.count(name) for name in products if "Read" not in name}
    assert times and all(n % 6 == 0 for n in times.values()), times


def test_two_windows_that_overlap_are_refused_and_the_first_is_written(data, tmp_path):
    first, second = Profiler(tmp_path / "a", 3, 4), Profiler(tmp_path / "b", 5, 4)
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    with pytest.raises(CallbackError, match=r"first=5, steps=4\).*another Profiler whose window"):
        trainer.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=[first, second])
    assert first.traced == (3, 4) and second.traced is None and trainer.step == 4


@pytest.mark.parametrize("options", [{"first": 0}, {"steps": 0}, {"first": 1.5}])
def test_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Profiler(**options)
