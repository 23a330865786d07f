"""Layer numbers on the command line and in messages: one grammar for every command."""

import re
from collections.abc import Iterator, Sequence

from emocache.errors import UsageError

GRAMMAR = "all, last or numbers such as 0-3,6"


def parse_layers(text: str, available: Sequence[int]) -> tuple[int, ...]:
    """'all', 'last', or numbers and ranges as layers out of those available, rising; UsageError for anything else.

    >>> parse_layers("0-3,6", range(13))
    (0, 1, 2, 3, 6)
    """
    if text == "all":
        return tuple(available)
    if text == "last":
        return (available[-1],)
    there, wanted = set(available), set()
    for number in _numbers(text, GRAMMAR):
        if number not in there:  # so a range ends where the layers do, however far it reaches
            raise UsageError(f"--layers {text}: no layer {number}; there are {ranges(sorted(there))}")
        wanted.add(number)
    return tuple(sorted(wanted))


def matching_layers(text: str, available: Sequence[int]) -> tuple[int, ...]:
    """The same grammar where several feature sets are meant, each with layers of its own: those of `available` that are named.

    >>> matching_layers("3-6", range(5))
    (3, 4)
    """
    if text in {"all", "last"}:
        return parse_layers(text, available)
    runs = _runs(text, GRAMMAR)
    return tuple(layer for layer in available if any(first <= layer <= last for first, last in runs))


def name_layers(text: str, most: int = 10_000) -> tuple[int, ...]:
    """The same grammar where layers are given their numbers, one after the other as they lie: they rise, and 'all' says nothing.

    >>> name_layers("6,11-12")
    (6, 11, 12)
    """
    expected = "the numbers of the layers in the files, rising, such as 0-24 or 6,12"
    numbers: list[int] = []
    for number in _numbers(text, expected):
        if number >= most or (numbers and number <= numbers[-1]):
            raise UsageError(f"--layers {text!r}: expected {expected}, each below {most}")
        numbers.append(number)
    return tuple(numbers)


def ranges(layers: Sequence[int]) -> str:
    """0,1,2,3,6 as 0-3,6, which `parse_layers` takes."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _numbers(text: str, expected: str) -> Iterator[int]:
    """The numbers of '0-3,6' in their order, one at a time; the whole text is looked at before the first is given."""
    for first, last in _runs(text, expected):
        yield from range(first, last + 1)


def _runs(text: str, expected: str) -> list[tuple[int, int]]:
    """The first and last numbers of the runs of '0-3,6'."""
    parts = [re.fullmatch(r"\s*([0-9]{1,18})(?:-([0-9]{1,18}))?\s*", part) for part in text.split(",")]
    runs = [(int(part[1]), int(part[2] or part[1])) for part in parts if part]
    if not all(parts) or any(first > last for first, last in runs):
        raise UsageError(f"--layers {text!r}: expected {expected}")
    return runs
