"""The projector's files, as its own configuration reads them."""

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins.projector import projector_config_pb2

from trainer.callbacks.tensorboard import projector


def test_tables_and_labels(tmp_path):
    table = np.random.default_rng(0).normal(size=(4, 3)).astype("f")
    projector.write(str(tmp_path), {"layers/0/e": table}, {"layers/0/e": ["a", "b\tc", "ü", 1]})
    config = projector_config_pb2.ProjectorConfig()
    text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config)
    (entry,) = config.embeddings
    assert (entry.tensor_name, list(entry.tensor_shape)) == ("layers/0/e", [4, 3])
    np.testing.assert_allclose(np.loadtxt(tmp_path / entry.tensor_path), table, rtol=1e-5)
    assert (tmp_path / entry.metadata_path).read_text().splitlines() == ["a", "b c", "ü", "1"]


def test_labels_are_one_for_each_row(tmp_path):
    with pytest.raises(ValueError, match="has 1 labels for 2 rows"):
        projector.write(str(tmp_path), {"e": np.ones([2, 2])}, {"e": ["a"]})
