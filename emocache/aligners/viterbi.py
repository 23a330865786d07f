"""The most probable way of a text through the frames of a CTC model (Graves et al. 2006), with its blanks between.

    state    0      1     2      3     4        for the text "ab": the odd states are its characters, the even ones blanks
             blank  a     blank  b     blank

From a frame to the next a path stays, goes on by one state, or leaves out a blank between two characters that differ. It
begins in one of the first two states and ends in one of the last two.
"""

import numpy as np
from numpy.typing import NDArray

STEPS = 3
"""A path stays, goes on by one, or by two."""


def least_frames(text: NDArray[np.int64]) -> int:
    """Frames that a text needs: one a character, and one between two that are alike."""
    return len(text) + int((text[1:] == text[:-1]).sum())


def best_path(scores: NDArray[np.float32], text: NDArray[np.int64], blank: int) -> NDArray[np.int64]:
    """The state of each frame, int64 [frames], on the best path; frame t is in character (state - 1) / 2 where that is odd.

    `scores` are log-probabilities [frames, vocabulary], `text` the numbers of one or more characters. ValueError when there
    are fewer frames than `least_frames`.
    """
    if len(scores) < least_frames(text):
        raise ValueError(f"{len(scores)} frames for a text that needs {least_frames(text)}")
    states = np.full(2 * len(text) + 1, blank)
    states[1::2] = text
    leap = np.zeros(len(states), bool)
    leap[3::2] = text[1:] != text[:-1]
    best = np.full(len(states), -np.inf)
    best[:2] = scores[0, states[:2]]
    steps = np.zeros((len(scores), len(states)), np.int8)
    for t in range(1, len(scores)):
        ways = np.full((STEPS, len(states)), -np.inf)
        ways[0], ways[1, 1:] = best, best[:-1]
        ways[2, 2:] = np.where(leap[2:], best[:-2], -np.inf)
        steps[t] = ways.argmax(axis=0)
        best = ways.max(axis=0) + scores[t, states]
    return _back(steps, len(states) - 1 if best[-1] >= best[-2] else len(states) - 2)


def _back(steps: NDArray[np.int8], last: int) -> NDArray[np.int64]:
    """The path that ends in state `last`."""
    path = np.empty(len(steps), np.int64)
    for t in range(len(steps) - 1, -1, -1):
        path[t] = last
        last -= steps[t, last]
    return path
