"""What marks a run as something other than a plain result, in every table that it is in."""

from collections.abc import Iterable, Mapping

from emocache.store import MANY_FALLBACKS

RANDOM_LABELS = "random labels"
FELL_BACK = "segments fell back"
TEST_SELECTED = "test-selected"
MARKS: Mapping[str, str] = {
    RANDOM_LABELS: "the labels of the training and validation parts were permuted: a floor to compare with, no result",
    FELL_BACK: f"more than {100 * MANY_FALLBACKS:g} % of the segments, or of the utterances, fell back to something else: see the notes",
    "reduced": "smaller than the experiment that it follows: see the notes",
    TEST_SELECTED: "the epoch was chosen on the tested fold, as some papers do: higher than an honest result",
}
"""Mark -> what it means."""


def explained(marks: Iterable[str]) -> list[str]:
    """The marks, each once and with what it means."""
    return [f"{mark}: {MARKS[mark]}" if mark in MARKS else mark for mark in dict.fromkeys(marks)]


def marked_name(name: str, marks: Iterable[str]) -> str:
    """A name as tables show it, its marks behind it."""
    return f"{name} ({', '.join(marks)})" if marks else name
