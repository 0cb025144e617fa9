"""Measures generation with a cache, and attention over long sequences.

Tokens per second of a character GPT that continues a prompt: with the keys and values of earlier
places kept, against computing the whole sequence again for every token (both compiled, the
likeliest token each time, so that both write the same text). Forward and backward of causal
attention with and without its weights kept: time in turns, and the memory that a process of its
own adds.

    python -m benchmarks.sequences --length=256 --keys=512,1024,2048
"""

from __future__ import annotations

import multiprocessing
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, quiet, results, tables

CACHED, ANEW = "cached", "computed anew"
WHOLE, CHUNKED = "weights kept", "by chunks"
VOCABULARY, PROMPT, HEADS, SIZE = 65, 16, 4, 32


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_integer("length", 256, "Places of a generated sequence.", lower_bound=PROMPT + 1)
    flags.DEFINE_integer("width", 128, "Features of the GPT.", lower_bound=HEADS)
    flags.DEFINE_integer("blocks", 4, "Blocks of the GPT.", lower_bound=1)
    flags.DEFINE_list("batches", ["1", "8"], "Sequences generated at a time; empty for none.")
    flags.DEFINE_list("keys", ["512", "1024", "2048"], "Lengths of attention; empty for none.")
    flags.DEFINE_list("modes", ["graph", "xla"], "Ways of compiling: graph, xla.")
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_string("out", None, "Folder for sequences.json; none is written without it.")
    flags.register_validator(
        "modes", lambda names: all(cli.check_one(n, ("graph", "xla")) for n in names)
    )


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    with quiet.quiet_import():
        import tensorflow  # noqa: F401
    out = tables.console()
    rows = []
    for batch in given.batches:
        for mode in given.modes:
            sizes = {"batch": int(batch), "length": given.length, "width": given.width}
            rows.append(generation(sizes | {"blocks": given.blocks}, mode, given.rounds))
    if rows:
        show_generation(out, rows)
    long = [attention(int(n), mode, given.rounds) for n in given.keys for mode in given.modes]
    if long:
        show_attention(out, long)
    measured = {
        **machine.about(),
        "generation": rows,
        "attention": long,
    }
    tables.show_machine(out, measured)
    if given.out is not None:
        folder = pathlib.Path(given.out)
        folder.mkdir(parents=True, exist_ok=True)
        results.save(folder / "sequences.json", measured)
        logging.info("written: %s", folder / "sequences.json")
    return 0


def generation(sizes: Mapping[str, int], mode: str, rounds: int) -> dict[str, Any]:
    """Tokens per second of both ways, and how many times faster the cache is, round by round."""
    steps = sizes["length"] - PROMPT
    runs = generators(sizes, mode)
    seconds = in_turns(runs, rounds)
    tokens = steps * sizes["batch"]
    pairs = zip(seconds[ANEW], seconds[CACHED], strict=True)
    return {
        "sizes": dict(sizes),
        "mode": mode,
        **{name: results.spread([tokens / s for s in own]) for name, own in seconds.items()},
        "ratio": results.spread([a / b for a, b in pairs]),
    }


def generators(sizes: Mapping[str, int], mode: str) -> dict[str, Callable[[], Any]]:
    """Functions that continue one prompt to the full length, as tokens `[b, length]`."""
    import tensorflow as tf

    import layers

    length, jit = sizes["length"], mode == "xla"
    blocks = [
        layers.TransformerBlock(HEADS, 4 * sizes["width"], causal=True)
        for _ in range(sizes["blocks"])
    ]
    model = layers.CausalTransformer(
        VOCABULARY, sizes["width"], blocks=blocks, positions=layers.PositionEmbedding(length)
    )
    rng = np.random.default_rng(0)
    prompt = tf.constant(rng.integers(0, VOCABULARY, (sizes["batch"], PROMPT)), tf.int32)
    model(prompt)
    steps = length - PROMPT

    @tf.function(jit_compile=jit or None, autograph=False)
    def anew(prompt: Any) -> Any:
        """All places each time, those to come among them: a causal model does not see them."""

        def body(i: Any, tokens: Any) -> Any:
            logits = tf.gather(model(tokens), i - 1, axis=1)
            drawn = tf.argmax(logits, -1, tf.int32)
            here = tf.range(length)[None] == i
            return i + 1, tf.where(here, drawn[:, None], tokens)

        tokens = tf.pad(prompt, [[0, 0], [0, steps]])
        return tf.while_loop(lambda i, tokens: i < length, body, (PROMPT, tokens))[1]

    generator = layers.Generator(model, length, jit_compile=jit)
    return {CACHED: lambda: generator(prompt, steps), ANEW: lambda: anew(prompt)}


def attention(keys: int, mode: str, rounds: int) -> dict[str, Any]:
    """Seconds and added memory of causal attention over so many keys, in both forms."""
    runs = {name: attended(name, keys, mode) for name in (WHOLE, CHUNKED)}
    seconds = in_turns(runs, rounds)
    context = multiprocessing.get_context("spawn")
    added = {}
    for name in runs:
        with context.Pool(1) as pool:
            added[name] = pool.apply(memory, (name, keys, mode))
    pairs = zip(seconds[CHUNKED], seconds[WHOLE], strict=True)
    return {
        "keys": keys,
        "mode": mode,
        **{name: results.spread(own) for name, own in seconds.items()},
        "ratio": results.spread([a / b for a, b in pairs]),
        "extra_mb": added,
    }


def attended(name: str, keys: int, mode: str) -> Callable[[], Any]:
    """Causal attention of two sequences and its gradients, compiled."""
    import tensorflow as tf

    from layers import dot_product

    rng = np.random.default_rng(0)
    values = [tf.constant(rng.normal(size=(2, keys, HEADS, SIZE)), tf.float32) for _ in range(3)]

    def mixed(q: Any, k: Any, v: Any) -> Any:
        if name == CHUNKED:
            return dot_product.chunked_attention(q, k, v, causal=True)
        places = dot_product.place_mask(tf.range(keys), tf.range(keys), True, None)
        return dot_product.mix(dot_product.attend(q, k, places), v)

    @tf.function(jit_compile=(mode == "xla") or None, autograph=False)
    def run(*values: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(values)
            total = tf.reduce_sum(tf.square(mixed(*values)))
        return tape.gradient(total, values)

    return lambda: run(*values)[0]


def memory(name: str, keys: int, mode: str) -> float:
    """How much a few steps add to the memory of this process at its peak, MB."""
    with quiet.quiet_import():
        run = attended(name, keys, mode)
    before = machine.peak_mb()
    for _ in range(3):
        run().numpy()
    return machine.peak_mb() - before


def in_turns(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each in every round, the order turned round each time."""
    for run in runs.values():
        run().numpy()  # traced and compiled
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            begun = time.perf_counter()
            runs[name]().numpy()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def show_generation(out: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of tokens per second."""
    sizes = rows[0]["sizes"]
    made = tables.table(
        f"tokens per second, {PROMPT} to {sizes['length']} places, {sizes['blocks']} blocks of "
        f"{sizes['width']}",
        "sequences",
        "mode",
        CACHED,
        ANEW,
        "x",
        "low .. high",
    )
    for row in rows:
        made.add_row(
            str(row["sizes"]["batch"]),
            row["mode"],
            *(f"{row[name]['median']:,.0f}" for name in (CACHED, ANEW)),
            f"{row['ratio']['median']:.1f}",
            tables.interval(row["ratio"], ".1f"),
        )
    out.print(made)


def show_attention(out: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of long attention."""
    made = tables.table(
        f"causal attention, forward and backward, 2 sequences, {HEADS} heads of {SIZE}",
        "keys",
        "mode",
        WHOLE,
        CHUNKED,
        "time / kept",
        "low .. high",
        "memory kept",
        "by chunks",
    )
    for row in rows:
        made.add_row(
            str(row["keys"]),
            row["mode"],
            *(f"{1e3 * row[name]['median']:,.0f} ms" for name in (WHOLE, CHUNKED)),
            f"{row['ratio']['median']:.2f}",
            tables.interval(row["ratio"], ".2f"),
            *(f"{row['extra_mb'][name]:,.0f} MB" for name in (WHOLE, CHUNKED)),
        )
    out.print(made)


def to_markdown(measured: Mapping[str, Any]) -> str:
    """What the command prints, for a page."""

    def shown(out: Any) -> None:
        if measured["generation"]:
            show_generation(out, measured["generation"])
        if measured["attention"]:
            show_attention(out, measured["attention"])

    return tables.page(shown, measured)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
