"""The data room: arrays indexed in the compiled loop, and streams fed to it by chunks."""

from trainer.data.exactness import Exactness
from trainer.data.fingerprint import differences
from trainer.data.segment import Reader, Segment, Source
from trainer.data.source import open_source
from trainer.data.split import split

__all__ = ["open_source", "split", "Segment", "Source", "Reader", "Exactness", "differences"]
