"""Callbacks: which are due, what each has seen, and what happens when one fails."""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from trainer.callbacks import triggers
from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.keras_callback import HOOKS, KerasCallback, is_keras_callback
from trainer.callbacks.triggers import NEVER, Moment

if TYPE_CHECKING:
    from trainer.inspect.replay import Planned
    from trainer.instruments.base import Instrument

MakeReport = Callable[[int], Report]  # of the steps after the one given


class CallbackError(RuntimeError):
    """A callback failed; the text says which and when, and the original error is its cause.

    Everything trained so far is kept, and another `fit` goes on from there.
    """


class Callbacks:
    """The callbacks of one run, in order.

    Args:
        callbacks: a list of `Callback` instances, or None. Keras callbacks that work by epochs are
            wrapped (`KerasCallback`).
        chief: whether those that write are called; else they only count as due.

    Raises:
        TypeError: one of them is a class, a Keras callback that needs Keras's own loop, or no
            callback; or its `when`, or that of an instrument of it, is no trigger.
        ValueError: one is given twice.
    """

    def __init__(self, callbacks: Sequence[Callback] | None = None, *, chief: bool = True) -> None:
        if isinstance(callbacks, Callback):
            callbacks = [callbacks]
        if callbacks is not None and not isinstance(callbacks, (list, tuple)):
            raise TypeError(f"callbacks={callbacks!r}: pass a list of callbacks, or None.")
        self._entries: list[_Entry] = []
        given = list(callbacks or ())
        for i, callback in enumerate(given):
            _check(callback, f"callbacks[{i}]")
            if any(callback is other for other in given[:i]):
                raise ValueError(f"callbacks[{i}] ({callback!r}) is in the list twice.")
            own = KerasCallback(callback) if is_keras_callback(callback) else callback
            triggers.check(own.when, f"callbacks[{i}] ({type(own).__name__}): when")
            for instrument in own.instruments:
                what = f"callbacks[{i}] ({type(own).__name__}): when of {type(instrument).__name__}"
                triggers.check(instrument.when, what)
            self._entries.append(_Entry(own, asleep=own.chief_only and not chief))

        self._watchers = [
            e for e in self._entries if type(e.callback).before_call is not Callback.before_call
        ]

    @property
    def watches_calls(self) -> bool:
        """Whether any wants to be told before each compiled call."""
        return bool(self._watchers)

    def before_call(self, planned: Planned) -> None:
        """Calls `before_call` of those that have one."""
        for e in self._watchers:
            try:
                e.callback.before_call(planned)
            except Exception as error:
                raise CallbackError(_words(e, "before a compiled call", error)) from error

    def __iter__(self) -> Iterator[Callback]:
        return (e.callback for e in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def seen(self) -> int:
        """The last step that every callback has seen; earlier rows are needed no more."""
        return min((e.seen for e in self._entries), default=NEVER)

    @property
    def instruments(self) -> list[Instrument]:
        """Those of all callbacks."""
        return [instrument for e in self._entries for instrument in e.callback.instruments]

    def start(self, run: Run) -> None:
        """Checks what the callbacks monitor, then calls each one's `on_train_begin`.

        Raises:
            ValueError: a monitored name is not reported by this run.
            CallbackError: an `on_train_begin` failed; call `finish` for those that began.
        """
        for e in self._entries:
            _check_monitors(e.callback, run)
            e.begun, e.fired, e.seen = False, 0.0, run.start_step
        for e in self._entries:
            if e.asleep:
                continue
            try:
                e.callback.on_train_begin(run)
            except (ValueError, TypeError):
                raise  # nothing has been trained yet, and what was asked for cannot be done
            except Exception as error:
                raise CallbackError(_words(e, "when training began", error)) from error
            e.begun = True

    def next(self, moment: Moment) -> int:
        """The first step after `moment.step` at which any of them may be due, else `NEVER`."""
        return min((self._next(e, moment) for e in self._entries), default=NEVER)

    def _next(self, e: _Entry, moment: Moment) -> int:
        step = e.callback.when.next(dataclasses.replace(moment, fired=e.fired))
        if step <= moment.step:
            raise ValueError(
                f"the trigger {e.callback.when!r} of {e.name} gave step {step} as the next after "
                f"step {moment.step}; it must be a later one, or NEVER."
            )
        return step

    def run(self, moment: Moment, make_report: MakeReport) -> Control | None:
        """Calls those that are due, in order.

        Args:
            moment: where the run stands.
            make_report: called for each with the last step that it has seen, gives its report.

        Returns:
            What they ask for together, or None when they ask for nothing.

        Raises:
            CallbackError: one failed; those after it were not called.
        """
        reasons, save = [], False
        for e in self._entries:
            if not e.callback.when.due(dataclasses.replace(moment, fired=e.fired)):
                continue
            seen = e.seen
            e.fired, e.seen = moment.seconds, moment.step
            if e.asleep:
                continue
            report = make_report(seen)
            try:
                control = e.callback(report)
                if control is not None and not isinstance(control, Control):
                    raise TypeError(f"it returned {control!r}; return a Control or None.")
            except Exception as error:
                raise CallbackError(_words(e, f"at step {moment.step}", error)) from error
            if control is not None:
                reasons += [control.stop] if control.stop is not None else []
                save = save or control.save
        return Control("; ".join(reasons) or None, save) if reasons or save else None

    @contextmanager
    def evaluating(self, run: Run) -> Iterator[None]:
        """Within every callback's `evaluating`, the first outermost.

        Raises:
            CallbackError: one could not be entered.
        """
        with ExitStack() as stack:
            for e in self._entries:
                try:
                    stack.enter_context(e.callback.evaluating(run))
                except Exception as error:
                    raise CallbackError(_words(e, "before an evaluation", error)) from error
            yield

    def finish(self, make_report: MakeReport, error: BaseException | None = None) -> None:
        """Calls `on_train_end` of all that began, each even if one before it fails.

        Args:
            make_report: as in `run`.
            error: what ended fit, if it was an error; failures here are then only noted on it.

        Raises:
            CallbackError: the first failure, with the others named in its message.
        """
        failures: list[tuple[str, BaseException]] = []
        for e in self._entries:
            if not e.begun:
                continue
            e.begun = False
            try:
                e.callback.on_train_end(make_report(e.seen))
            except Exception as failure:
                failures.append((_words(e, "when training ended", failure), failure))
        if not failures:
            return
        texts = [text for text, _ in failures]
        if error is not None:
            for text in texts:
                _note(error, text)
            return
        raise CallbackError("\nand also: ".join(texts)) from failures[0][1]

    def memory(self) -> dict[str, Mapping[str, Any]]:
        """What a checkpoint must hold: "Class:number" -> what it has seen, and its memory."""
        return {
            key: {"seen": e.seen, "memory": dict(e.callback.memory())} for key, e in self._keyed()
        }

    def load_memory(self, memory: Mapping[str, Mapping[str, Any]]) -> None:
        """Puts back what `memory` gave; a callback that was not there keeps its fresh memory."""
        for key, e in self._keyed():
            if key in memory:
                e.seen = memory[key]["seen"]
                if not e.asleep and memory[key]["memory"]:
                    e.callback.load_memory(memory[key]["memory"])

    def _keyed(self) -> Iterator[tuple[str, _Entry]]:
        """Entries by class, numbered within it: adding another class does not shift the others."""
        counts: dict[str, int] = {}
        for e in self._entries:
            counts[e.name] = counts.get(e.name, -1) + 1
            yield f"{e.name}:{counts[e.name]}", e


@dataclasses.dataclass
class _Entry:
    callback: Callback
    asleep: bool = False  # another worker calls it
    begun: bool = False
    fired: float = 0.0  # seconds since fit began at its last call
    seen: int = 0  # the last step reported to it

    @property
    def name(self) -> str:
        callback = self.callback
        return type(callback.callback if isinstance(callback, KerasCallback) else callback).__name__


def _check(callback: Any, argument: str) -> None:
    if is_keras_callback(callback):
        return
    if isinstance(callback, Callback):
        unheard = sorted(h for h in HOOKS if hasattr(callback, h) and not hasattr(Callback, h))
        if unheard:
            raise TypeError(
                f"{argument} ({type(callback).__name__}) defines {', '.join(unheard)}; only "
                "Keras's own callbacks are called that way. Define __call__(self, report), and say "
                "when it is due: when = Every(epochs=1)."
            )
        return
    if isinstance(callback, type):
        raise TypeError(
            f"{argument} is the class {callback.__name__}; pass an instance: {callback.__name__}()"
        )
    if callable(callback):
        raise TypeError(
            f"{argument} is {callback!r}, a plain function; say when to call it: "
            "LambdaCallback(fn, when=Every(steps=100))."
        )
    raise TypeError(f"{argument} is {callback!r}; every callback must be a Callback instance.")


def _check_monitors(callback: Callback, run: Run) -> None:
    for name in callback.monitors:
        if name in run.names:
            continue
        near = difflib.get_close_matches(name, run.names, n=2)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        if name.startswith("val_") and not run.validates:
            hint = " Give fit validation_data or validation_split to have it."
        raise ValueError(
            f"{type(callback).__name__} monitors {name!r}, which this run does not report; it "
            f"reports {', '.join(run.names)}.{hint}"
        )


def _words(e: _Entry, when: str, error: BaseException) -> str:
    return (
        f"callback {e.name} failed {when}: {type(error).__name__}: {error}\n"
        "Everything trained so far is kept: the model, the optimizer and the history are whole, "
        "and fit can be called again."
    )


def _note(error: BaseException, text: str) -> None:
    """`error.add_note`, and a warning where Python has no notes (3.10)."""
    if hasattr(error, "add_note"):
        error.add_note(text)
    else:
        warnings.warn(text, stacklevel=3)
