"""TensorBoard's own pages in a browser: what they draw of one run, once their scripts have run."""

import pytest
import tensorflow as tf

from benchmarks.screenshots import chromium, look

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")


def test_the_time_series_name_what_the_run_reports(server):
    text = look(chromium(), f"{server.url}/#timeseries", "--dump-dom")
    for word in ("binary_accuracy", "learning_rate", "update_ratio", "confusion", "validation"):
        assert word in text, word


@pytest.mark.parametrize("page", ["custom_scalars", "histograms", "images"])
def test_the_page_draws_in_the_colors_of_the_runs(server, page, tmp_path):
    """Below the bar and beside the menu a page that draws nothing is gray."""
    path = tmp_path / "page.png"
    look(chromium(), f"{server.url}/#{page}", f"--screenshot={path}")
    drawn = tf.io.decode_png(path.read_bytes(), channels=3).numpy()[120:, 340:].astype(int)
    colored = (drawn.max(-1) - drawn.min(-1) > 80).sum()
    assert colored > 1000, colored
