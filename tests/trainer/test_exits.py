"""Exit codes keep to what other programs mean by them."""

import os
import signal

from trainer import exits


def test_codes_are_those_of_other_programs():
    assert exits.PREEMPTED == 128 + signal.SIGTERM
    assert exits.LOST_PEER == os.EX_TEMPFAIL
    assert exits.DISAGREED == os.EX_CONFIG
    assert len({exits.PREEMPTED, exits.LOST_PEER, exits.DISAGREED, exits.FROZEN, 0, 1, 2}) == 7
