"""How cells follow each other: in the network of the search and in a derived one alike."""

from collections.abc import Iterator
from dataclasses import dataclass

STEM = 3
"""The stem is this many times as wide as the first cell."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of one cell: channels of the two outputs that it is given and of its own nodes, whether it halves the sides and doubles the
    channels, and whether the cell before it did.
    """

    before_last: int
    last: int
    channels: int
    reduction: bool
    after_reduction: bool


def places(layers: int, channels: int, outputs: int, reduced: int) -> Iterator[Place]:
    """`layers` cells with reductions at layers // 3 and 2 layers // 3; a cell's output is `outputs` nodes wide, or `reduced`."""
    before_last = last = STEM * channels
    after = False
    for number in range(layers):
        reduction = number in {layers // 3, 2 * layers // 3}
        channels *= 2 if reduction else 1
        yield Place(before_last, last, channels, reduction, after)
        before_last, last, after = last, channels * (reduced if reduction else outputs), reduction


def width(layers: int, channels: int, outputs: int, reduced: int) -> int:
    """Channels of the last cell's output."""
    *_, end = places(layers, channels, outputs, reduced)
    return end.channels * (reduced if end.reduction else outputs)
