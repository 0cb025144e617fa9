"""RNN: any cell run along time; and StackedRNNCells, several cells as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import Layer, Shape, takes_training
from .over_time import OverTime
from .recompute import folding
from .scan import Cell, scan


class StackedRNNCells(Layer):
    """Cells one after the other, as one cell: the output of each is the input of the next.

    Args:
        cells: objects with `state_size` and `call(inputs, states) -> (output, new states)`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 2
    casts_integers = True

    def __init__(
        self, cells: Sequence[Any], *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ValueError(f"cells must be a list of one cell or more, got {cells!r}")
        self.cells = [_checked("cells", cell) for cell in cells]
        if not trainable:
            self.trainable = False

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The size of the last cell's output."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The initial states of each cell: zeros unless it says otherwise."""
        return [_initial(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: Shape) -> None:
        """Builds every cell by one step of zeros."""
        d = self.known_axis(input_shape)
        self._through(tf.zeros([1, d]), self.get_initial_state(1), False)
        self.fix_axes({-1: d})

    def call(  # type: ignore[override]
        self, inputs: tf.Tensor, states: Sequence[Any], training: bool = False
    ) -> tuple[tf.Tensor, list[Any]]:
        """One step of every cell.

        Args:
            inputs: `[b, d]`.
            states: for each cell its states, as in `get_initial_state`.
            training: handed to the cells that take it.

        Returns:
            The last cell's output, and the new states as the old ones were given.
        """
        if len(states) != len(self.cells):
            raise ValueError(
                f"states of {self._label()} must hold the states of {len(self.cells)} cells, got "
                f"{len(states)}"
            )
        return self._through(inputs, states, training)

    def _through(self, x: tf.Tensor, states: Any, training: bool) -> tuple[tf.Tensor, list[Any]]:
        found = []
        for i, (cell, given) in enumerate(zip(self.cells, states, strict=True)):
            # The index makes variable names unique, as in Sequential.
            with tf.name_scope(str(i)):
                x, new = _step(cell, x, given, training)
            found.append(new)
        return x, found


class RNN(OverTime):
    """Runs a cell along time: `[b, t, d] -> [b, u]`, or `[b, t, u]` with `return_sequences`.

    A cell is any `Layer` with a `state_size` (an integer, or a list of one for each state) and
    `call(inputs [b, d], states, training=False) -> (output [b, u], new states)`; `states` is a list
    of tensors `[b, size]`. It may have `output_size` (else it is the first state's) and
    `get_initial_state(batch_size)` (else zeros). What a cell draws at random in training, masks of
    dropout say, it draws once for all steps.

    TensorFlow differentiates the loop. `SimpleRNN`, `LSTM` and `GRU` compute the same as `RNN` of
    their cells and are faster: use them where no other cell is needed.

    Args:
        cell: the cell, or a list of cells, which are stacked.
        return_sequences: whether the result is `[b, t, u]` instead of the last output.
        return_state: whether the last states are returned too.
        go_backwards: whether time runs from the last step to the first.
        stateful: as in `SimpleRNN`; the states stand before the cell's weights.
        zero_output_for_mask: whether a masked step puts out zeros, instead of what the step before
            it did.
        trainable: see `Layer`.
        name: see `Layer`.

    Example:
        >>> import tensorflow as tf
        >>> from layers import GRUCell, LSTMCell, RNN
        >>> RNN([LSTMCell(8), GRUCell(4)])(tf.zeros([2, 5, 3])).shape
        TensorShape([2, 4])
    """

    input_rank = 3

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        *,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool = False,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        stacked = isinstance(cell, (list, tuple))
        self.cell = StackedRNNCells(cell) if stacked else _checked("cell", cell)
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.stateful = go_backwards, stateful
        self.zero_output_for_mask = zero_output_for_mask
        if not trainable:
            self.trainable = False

    @property
    def state_size(self) -> list[Any]:
        """The cell's state sizes, as a list."""
        return _listed(self.cell.state_size)

    def build(self, input_shape: Shape) -> None:
        """Builds the cell by one step of zeros."""
        d = self.known_axis(input_shape)
        states = _listed(_initial(self.cell, 1, self.compute_dtype))
        _step(self.cell, tf.zeros([1, d], self.compute_dtype), states, False)
        self.states = self._state_variables(input_shape[0])
        self._keep_initial()
        self.fix_axes({-1: d})

    def call(  # type: ignore[override]
        self,
        inputs: tf.Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """`[b, t, d] -> [b, u]`, or `[b, t, u]` with `return_sequences`.

        Args:
            inputs: `[b, t, d]`.
            initial_state: a nest with a tensor for each of the cell's states; None means the cell's
                own (zeros), or the last call's where the layer is stateful.
            mask: boolean `[b, t]`; a step of False leaves the states, and its output is that of the
                step before it (zeros before the first step that counts).
            training: handed to the cell.

        Returns:
            The output; with `return_state` a tuple of the output and each last state (for stacked
            cells, the states of each cell).
        """
        like = _listed(_initial(self.cell, tf.shape(inputs)[0], inputs.dtype))
        states = self._initial_state(inputs, initial_state)
        x, seen = self._time_first(inputs, mask)
        blank = tf.zeros([tf.shape(inputs)[0], _output_size(self.cell)], inputs.dtype)
        blank = tf.ensure_shape(blank, [inputs.shape[0], blank.shape[-1]])
        # The output is carried as the first state, so that a masked step repeats it.
        outputs, (output, *last) = scan(
            Cell(self._one_step(like, training)),
            x,
            (blank, *states),
            (),
            mask=seen,
            sequences=self.return_sequences,
        )
        self._keep(tuple(last))
        if self.return_sequences:
            output = outputs if seen is None else self._masked_outputs(outputs, seen)
            output = tf.transpose(output, [1, 0, 2])
        elif seen is not None and self.zero_output_for_mask:
            output = tf.where(seen[-1], output, tf.zeros_like(output))
        return (output, *tf.nest.pack_sequence_as(like, last)) if self.return_state else output

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to the cell's initial ones."""
        if self.built:
            self._keep_initial()

    def _keep_initial(self) -> None:
        if self.states:
            batch = self.states[0].shape[0]
            self._keep(tuple(tf.nest.flatten(_initial(self.cell, batch, self.compute_dtype))))

    def _one_step(self, like: Any, training: bool) -> Any:
        """The cell as a step of `scan`, whose states begin with the output."""
        seed = self.next_seed(getattr(self.cell, "seed", None)) if training else None

        def step(x: tf.Tensor, states: Any, weights: Any) -> Any:
            given = tf.nest.pack_sequence_as(like, states[1:])
            if seed is None:
                output, new = _step(self.cell, x, given, training)
            else:
                with folding(seed):
                    output, new = _step(self.cell, x, given, training)
            found = [output, *tf.nest.flatten(new)]
            self._check_step(found, states)
            return tuple(tf.cast(n, s.dtype) for n, s in zip(found, states, strict=True)), ()

        return step

    def _check_step(self, found: list[tf.Tensor], states: Any) -> None:
        """What a cell gives must be what it says it gives."""
        got = [v.shape[-1] for v in found]
        want = [v.shape[-1] for v in states]
        if got != want:
            raise ValueError(
                f"cell of {self._label()} gave an output of size {got[0]} and states of sizes "
                f"{got[1:]}, but its output_size (or else its first state_size) is {want[0]} and "
                f"its state_size {want[1:]}; make them agree in {type(self.cell).__name__}"
            )

    def _state_sizes(self) -> list[int]:
        return list(tf.nest.flatten(self.state_size))

    def _zero_states(self, inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        initial = tf.nest.flatten(_initial(self.cell, tf.shape(inputs)[0], inputs.dtype))
        return tuple(
            tf.ensure_shape(tf.cast(s, inputs.dtype), [inputs.shape[0], size])
            for s, size in zip(initial, self._state_sizes(), strict=True)
        )


def _checked(argument: str, cell: Any) -> Any:
    if not callable(cell) or not hasattr(cell, "state_size"):
        raise TypeError(
            f"{argument} must be layers with a state_size and call(inputs, states, training), got "
            f"{cell!r}; see the docstring of layers.RNN"
        )
    return cell


def _listed(states: Any) -> list[Any]:
    return list(states) if isinstance(states, (list, tuple)) else [states]


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return int(tf.nest.flatten(cell.state_size)[0] if size is None else size)


def _initial(cell: Any, batch: Any, dtype: Any) -> Any:
    """The cell's initial states: its own, or zeros."""
    if hasattr(cell, "get_initial_state"):
        return cell.get_initial_state(batch_size=batch)
    if isinstance(cell.state_size, (list, tuple)):
        return [tf.zeros([batch, size], dtype) for size in cell.state_size]
    return tf.zeros([batch, cell.state_size], dtype)


def _step(cell: Any, x: tf.Tensor, states: Any, training: bool) -> tuple[tf.Tensor, Any]:
    """One step of a cell, which sees a list of states; the new ones come as they were given."""
    named = {"training": training} if takes_training(cell) else {}
    output, new = cell(x, _listed(states), **named)
    new = _listed(new)
    return output, (new if isinstance(states, (list, tuple)) else new[0])
