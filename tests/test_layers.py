"""Layer numbers: one grammar for every command."""

import pytest

from emocache.errors import UsageError
from emocache.layers import name_layers, parse_layers, ranges

NONSENSE = ("3-1", "a-", "-1", "-", "1-", "", ",", "0,", "1--2", "1-2-3", "x", "0.5", "²", "9" * 5000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", (0, 1, 2, 3, 6)), ("last", (6,)), ("2,0", (0, 2)), ("0-3,6", (0, 1, 2, 3, 6)), ("6,1-2", (1, 2, 6)),
        ("1-2,2-3", (1, 2, 3)), ("3-3", (3,)), (" 1 , 2-3 ", (1, 2, 3)),
    ],
)  # fmt: skip
def test_layers_are_all_last_numbers_and_ranges(text: str, expected: tuple[int, ...]) -> None:
    assert parse_layers(text, (0, 1, 2, 3, 6)) == expected


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_refused_wherever_layers_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="expected all, last or numbers"):
        parse_layers(text, range(13))
    with pytest.raises(UsageError, match="expected the numbers of the layers in the files"):
        name_layers(text)


@pytest.mark.parametrize(("text", "first"), [("0-999999999999999999", 4), ("999999999999999999", 999999999999999999), ("6,2-9", 4)])
def test_a_range_ends_where_the_layers_do(text: str, first: int) -> None:
    with pytest.raises(UsageError, match=f"no layer {first}; there are 0-3,6"):
        parse_layers(text, (0, 1, 2, 3, 6))


@pytest.mark.parametrize("text", ["3,1", "1-3,3", "all", "last", "0-999999999999999999", "10000"])
def test_layers_that_are_given_numbers_rise_and_are_few(text: str) -> None:
    with pytest.raises(UsageError, match="rising"):
        name_layers(text)


@pytest.mark.parametrize("layers", [(0,), (0, 1, 2), (1, 2, 6), (0, 2, 4, 5, 12)])
def test_what_is_listed_is_understood(layers: tuple[int, ...]) -> None:
    assert parse_layers(ranges(layers), range(13)) == name_layers(ranges(layers)) == layers
