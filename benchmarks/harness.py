"""Measures contenders fairly: in turns, nobody else at work meanwhile, mostly a process each."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks import machine, results, workloads
from benchmarks.processes import Contender, Failed, Process, Seat, ask

PAUSE = 0.5  # seconds at least before a timed round, until the machine rests;
LONGEST_PAUSE = 3.0  # at most: where others work, it never does
SEARCH_STEPS = 256  # of one try of the search: two of the longest executions
UNABLE = "fit cannot say the step of {}, which is the task's own"


@dataclasses.dataclass
class Field:
    """The contenders that are still in the race, and what is known of each.

    A contender that fails leaves with its reason; the others go on.
    """

    contenders: list[Contender]
    records: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    say: Callable[[str], None] = lambda text: None

    def each(
        self, do: str, first: int = 0, pause: float = 0.0, **arguments: Any
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Gives a command to one contender after the other; yields the answers as they come.

        Args:
            do: the command.
            first: how many contenders are moved from the head of the turn to its end.
            pause: seconds at least before each, until what the one before left has come to rest.
            arguments: of the command.
        """
        moved = first % max(1, len(self.contenders))
        for contender in [*self.contenders[moved:], *self.contenders[:moved]]:
            if pause:
                machine.settle(pause, most=LONGEST_PAUSE)
            try:
                yield contender.name, ask(contender, do, **arguments)
            except Failed as failure:
                self.drop(contender, str(failure))

    def load(self) -> None:
        """Lets all import and read at the same time: this is not timed."""
        for contender in self.contenders:
            contender.send("load")
        for contender in list(self.contenders):
            try:
                self.records[contender.name] = contender.receive()
            except Failed as failure:
                self.drop(contender, str(failure))

    def drop(self, contender: Contender, reason: str) -> None:
        """Takes a contender out of the race."""
        self.records[contender.name] = {"skipped": reason}
        self.contenders.remove(contender)
        contender.close()
        self.say(f"{contender.name} is left out: {reason.splitlines()[0]}")


def start(field: Field) -> None:
    """Lets each contender make its model and train one step; fills the records."""
    for name, answer in field.each("start"):
        field.say(f"{name}: first step after {answer['seconds']:.1f} s")
        field.records[name].update(
            first_step_seconds=answer["seconds"],
            first_loss=answer["loss"],
            settings=answer["settings"],
            rounds=[],
            losses=[],
        )


def plan(field: Field, batches: int | None) -> None:
    """What a long run does once, for rounds that stand for one: it is told apart."""
    for name, answer in field.each("plan", batches=batches):
        field.records[name]["plan_seconds"] = answer["seconds"]


def race(field: Field, *, rounds: int, batches: int | None, epochs: int, steps: int) -> None:
    """A round to warm up, and the timed rounds, interleaved: A B C, B C A, C A B ...

    Each round begins with another contender, so that none always follows the same one. A timed
    round follows an epoch that is not timed: a virtual machine is slow at first with memory that
    was not touched for seconds, and who is fast would pay the same for it with a shorter round.

    Args:
        field: the contenders, started; its records are filled.
        rounds: timed rounds of each.
        batches: of an epoch in a round; None for all.
        epochs: of a round.
        steps: how many steps that is.
    """
    for name, answer in field.each("train", batches=batches, epochs=epochs):
        field.say(f"{name}: warmed up in {answer['seconds']:.1f} s")
        field.records[name]["warm_up_seconds"] = answer["seconds"]
    for number in range(1, rounds + 1):
        turn = field.each("train", number - 1, PAUSE, batches=batches, epochs=epochs, wake=True)
        for name, answer in turn:
            field.records[name]["rounds"].append(answer["seconds"])
            field.records[name]["losses"].append(answer["loss"])
            if answer.get("noted"):
                field.records[name].setdefault("noted", []).append(answer["noted"])
            speed = steps / answer["seconds"]
            places = 0 if speed > 100 else 1
            field.say(f"round {number}/{rounds}, {name}: {speed:,.{places}f} steps/s")


def finish(field: Field) -> None:
    """The peak memory of each, and the quality it reached."""
    for name, answer in field.each("finish"):  # first, as what measures quality may train too
        field.records[name].update(answer)
    for name, answer in field.each("evaluate"):
        field.records[name]["test"] = answer


def round_size(rows: int, batch_size: int, steps: int) -> tuple[int | None, int, int]:
    """Cuts `steps` steps from `rows` rows: (batches, None for all; epochs; exact steps)."""
    epoch = -(-rows // batch_size)
    if steps < epoch:
        return steps, 1, steps
    epochs = max(1, round(steps / epoch))
    return None, epochs, epochs * epoch


@contextlib.contextmanager
def open_field(
    workload: str,
    folder: pathlib.Path,
    chosen: Mapping[str, Mapping[str, Any]],
    say: Callable[[str], None],
    *,
    together: bool = False,
) -> Iterator[Field]:
    """Starts a process per contender, or one for all.

    Args:
        workload: its name.
        folder: with the data and the initial weights; takes the logs.
        chosen: contender -> `{"peer": its name in PEERS, "settings": ...}`.
        say: is told what happens, a line at a time.
        together: whether they share a process, see `Seat`.
    """
    common = {"workload": workload, "folder": str(folder)}
    contenders: list[Contender]
    if together:
        processes = [Process("all", {**common, "seats": chosen}, folder / "all.log")]
        contenders = [Seat(name, processes[0]) for name in chosen]
    else:
        processes = [
            Process(name, {**common, **spec}, folder / f"{name}.log")
            for name, spec in chosen.items()
        ]
        contenders = list(processes)
    field = Field(contenders, say=say)
    try:
        field.load()
        yield field
    finally:
        for process in processes:
            process.close()


def find_best(
    spec: Mapping[str, Any],
    *,
    batches: int | None,
    epochs: int,
    grid: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Searches Keras's best setting in a process that then ends, so that its memory is not counted.

    Returns:
        `tries`, and `settings` of the best, or `skipped` with the reason.
    """
    say("looking for Keras's best setting")
    process = Process("search", spec, pathlib.Path(spec["folder"]) / "search.log")
    try:
        ask(process, "load")
        ask(process, "start")
        return ask(process, "search", batches=batches, epochs=epochs, grid=grid)
    except Failed as failure:
        return {"skipped": str(failure)}
    finally:
        process.close()


def measure(
    name: str,
    contenders: Sequence[str],
    *,
    rounds: int,
    steps: int | None = None,
    data_dir: str | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    **how: Any,
) -> dict[str, Any]:
    """Measures one workload.

    Args:
        name: of the workload.
        contenders: names, in the order in which they take turns.
        rounds: timed rounds.
        steps: of a round, about; None for the workload's own number.
        data_dir: where the workload's data is looked for.
        seed: of the initial weights, which all contenders share.
        say: is told what happens, a line at a time.
        how: further arguments of `compete`.

    Returns:
        The record that `results` knows; a workload that cannot run has `skipped` with the reason.
    """
    workload = workloads.get(name)
    with tempfile.TemporaryDirectory(prefix=f"benchmark-{name}-") as place:
        folder = pathlib.Path(place)
        helper = Process("prepare", {"workload": name, "folder": place}, folder / "prepare.log")
        try:
            rows = ask(helper, "prepare", data_dir=data_dir, seed=seed)["rows"]
        except Failed as failure:
            return {"title": workload.title, "skipped": str(failure)}
        finally:
            helper.close()
        steps = steps or workload.round_steps
        return compete(
            workload, folder, rows, contenders, rounds=rounds, steps=steps, say=say, **how
        )


def compete(
    workload: workloads.Workload,
    folder: pathlib.Path,
    rows: int,
    contenders: Sequence[str],
    *,
    rounds: int,
    steps: int,
    specs: Mapping[str, Mapping[str, Any]] | None = None,
    reference: str | None = None,
    grid: str = "full",
    long: bool = False,
    together: bool = False,
    between: Callable[[Field], None] = lambda field: None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Lets contenders train a workload whose data and initial weights are in `folder`.

    Args:
        workload: the job.
        folder: see `child.prepare`; takes the logs.
        rows: of the training data.
        contenders: names, in the order in which they take turns.
        rounds: timed rounds.
        steps: of a round, about.
        specs: contender -> `{"peer": ..., "settings": ..., "overrides": ...}` where it is not a
            plain peer.
        reference: the contender that the others' speeds are divided by; by default what
            `results.reference` says of those that can do the work.
        grid: of the search for Keras's best setting, see `KerasFit.search`.
        long: whether rounds stand for a long run, so that contenders plan before them.
        together: whether contenders share a process, see `Seat`.
        between: is called after each has made its first step, before anything is timed.
        say: is told what happens, a line at a time.

    Returns:
        The record that `results` knows.
    """
    batches, epochs, exact = round_size(rows, workload.batch_size, steps)
    chosen = {c: {"peer": c, **(specs or {}).get(c, {})} for c in contenders}
    left_out = {
        c: UNABLE.format(workload.name)
        for c, spec in chosen.items()
        if not can(spec["peer"], workload)
    }
    able = {c: spec for c, spec in chosen.items() if c not in left_out}
    if left_out:
        say(f"left out: {', '.join(left_out)}: {UNABLE.format(workload.name)}")
    record: dict[str, Any] = {
        "title": workload.title,
        "batch_size": workload.batch_size,
        "steps_per_round": exact,
    }
    if "fit_best" in able and "settings" not in able["fit_best"]:
        part = round_size(rows, workload.batch_size, min(exact, SEARCH_STEPS))
        spec = {"workload": workload.name, "folder": str(folder), **able["fit_best"]}
        found = find_best(spec, batches=part[0], epochs=part[1], grid=grid, say=say)
        record["search"] = found.get("tries", [])
        if "settings" in found:
            able["fit_best"]["settings"] = found["settings"]
        else:
            left_out["fit_best"] = found["skipped"]
            del able["fit_best"]
    with open_field(workload.name, folder, able, say, together=together) as field:
        start(field)
        between(field)
        if long:
            plan(field, batches)
        race(field, rounds=rounds, batches=batches, epochs=epochs, steps=exact)
        finish(field)
    record["contenders"] = {
        c: {"skipped": left_out[c]} if c in left_out else field.records[c] for c in contenders
    }
    return results.summarise(record, reference or results.reference(able))


def can(peer: str, workload: workloads.Workload) -> bool:
    """Whether a peer can do a workload's work: `fit` cannot say every step, ours can."""
    return peer.startswith("ours") or peer in workload.peers
