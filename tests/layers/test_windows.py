"""Arguments of windows: what they become, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from layers.windows import check_window, one_of, sizes


def test_one_number_is_for_all_axes():
    assert sizes("strides", 2, 3) == (2, 2, 2) and sizes("strides", [1, 2], 2) == (1, 2)
    assert sizes("strides", np.int64(2), 2) == (2, 2)
    assert sizes("output_padding", 0, 2, least=0) == (0, 0)
    assert one_of("padding", "SAME", ("valid", "same")) == "same"


@pytest.mark.parametrize("make, words", [
    (lambda: sizes("strides", (1, 2), 3), "strides must be one positive integer or 3 of them"),
    (lambda: sizes("strides", 1.5, 2), "strides must be a positive integer, got 1.5"),
    (lambda: sizes("strides", True, 2), "strides must be a positive integer"),
    (lambda: sizes("output_padding", -1, 1, least=0), "integers of 0 or more, got -1"),
    (lambda: one_of("padding", None, ("valid",)), r"padding must be one of \['valid'\], got None"),
    (lambda: check_window((1, 2), (3, 1)), r"strides=\(1, 2\), dilation_rate=\(3, 1\)"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
