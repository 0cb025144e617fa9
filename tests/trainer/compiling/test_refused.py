"""What XLA refuses is named by operation, layer and line."""

import pytest
import tensorflow as tf

from trainer.compiling import refused


class Words(tf.Module):
    """Asks for strings, which XLA does not have."""

    def __call__(self, x):
        with tf.name_scope("encoder"), tf.name_scope("words"):
            text = tf.strings.length(tf.strings.as_string(x))
            return tf.reduce_sum(x * tf.cast(text, tf.float32))


@pytest.mark.parametrize("around", [False, True])
def test_an_operation_without_a_kernel(around):
    step = tf.function(Words(), jit_compile=not around, autograph=False)
    one = step.get_concrete_function(tf.TensorSpec([3]))

    @tf.function(jit_compile=True if around else None, autograph=False)
    def loop(x):
        return tf.while_loop(
            lambda i, _: i < 2, lambda i, s: (i + 1, s + one(x)), (tf.constant(0), 0.0)
        )

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        loop(tf.ones([3]))
    why = refused.why(caught.value)
    assert "has no operation AsString, used in encoder/words (" in why
    assert "test_refused.py:" in why
    assert "\n" not in why


def test_a_shape_that_is_not_known():
    """XLA's words, as `experimental_get_compiler_ir` gives them for tf.range(i)."""
    text = (
        "Input 1 to node `while/body/_1/decoder/range` with op Range must be a compile-time "
        "constant.\n\nXLA compilation requires that operator arguments ..."
    )
    why = refused.why(ValueError(text))
    assert why.startswith("Range, used in decoder, needs a shape or size that is known")


def test_other_errors_give_their_first_line():
    error = tf.errors.InvalidArgumentError(None, None, "Graph execution error:\n\n no\nmore")
    assert refused.why(error) == "no"
    assert refused.why(ValueError("bad {{node a/b/c}}")) == "bad {{node a/b/c}} (in a/b)"
    assert refused.why(ValueError()) == "ValueError"


def test_the_step_itself():
    assert refused.layer_of("while/body/_1/AsString") == "the step itself (AsString)"
