"""What the language models over characters share: the text, bits per character, continuing it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from benchmarks.data import Data, decode, load_text
from benchmarks.workloads.base import Supervised

LENGTH = 64
PROMPT = 16


class Characters(Supervised):
    """Predicts the next character; quality is in bits per character, as compressors count."""

    at_most: ClassVar = ("bits_per_character",)

    def data(self, data_dir=None):
        """Characters [b, t], and the next ones [b, t]; `data_dir` may hold a *.txt file."""
        return load_text(data_dir, length=LENGTH)

    def quality(self, trainer, data):
        """Loss, accuracy, and the loss in bits."""
        found = super().quality(trainer, data)
        return {**found, "bits_per_character": found["loss"] / math.log(2.0)}

    def sample(self, trainer: Any, data: Data) -> str:
        """Three pieces of the test split, each with the characters that the model adds to it."""
        if not self.own_layers:
            return ""
        generator = self.generator(trainer.task.model)
        prompts = data.x_test[:: len(data.x_test) // 3][:3, :PROMPT]
        texts = [decode(row) for row in generator(prompts, generator.length - PROMPT).numpy()]
        return "\n".join(f"[{text[:PROMPT]}] {text[PROMPT:]}\n" for text in texts)

    def generator(self, model: Any) -> Any:
        """A `layers.Generator` of the trained model."""
        raise NotImplementedError
