"""Exit codes with a meaning of their own, which the launcher and other schedulers can act upon."""

from __future__ import annotations

PREEMPTED = 143  # 128 + SIGTERM: asked to stop, the last checkpoint is written; start it again
LOST_PEER = 75  # EX_TEMPFAIL of sysexits.h: another worker is lost; start all of them again
DISAGREED = 78  # EX_CONFIG: the workers differ in settings, code or data; starting again is no use
FROZEN = 124  # as of timeout(1): a worker gave no sign of life; start all of them again
