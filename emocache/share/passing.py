"""Trying again: what failed for a moment is done anew, a few times and with growing pauses."""

import time
from collections.abc import Callable
from typing import TypeVar

from emocache.share.place import Passing

WAITS_S = (0.0, 0.5, 2.0, 6.0)
"""Before each further try."""
T = TypeVar("T")


def patiently(attempt: Callable[[], T], progress: Callable[[], object] = lambda: None) -> T:
    """What comes of an attempt; a try that got somewhere (`progress` is another than before) does not count as one that failed."""
    tries = 0
    while True:
        before = progress()
        try:
            return attempt()
        except Passing:
            tries = 0 if progress() != before else tries + 1
            if tries >= len(WAITS_S):
                raise
            time.sleep(WAITS_S[tries])
