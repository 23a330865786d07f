"""What a sweep tries: `lr=1e-3,1e-4` are values, `lr=log:1e-5:1e-2` and `hidden=32:256` are ranges, anything else is fixed."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_type_hints

from emocache.errors import UsageError
from heads.config import Training, override

KINDS = {"log", "int"}
"""What may stand before a range: even on a logarithmic scale, whole numbers."""
Settings = Mapping[str, str]
"""Name of a setting -> its value, as `--set` takes it."""


@dataclass(frozen=True, slots=True)
class Range:
    """All numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """Settings that stay as they are, as `--set` takes them, and what is tried of each other one: values or a range."""

    fixed: tuple[str, ...]
    tried: Mapping[str, tuple[str, ...] | Range]

    @property
    def ranges(self) -> list[str]:
        """Settings of which a range is tried."""
        return [name for name, values in self.tried.items() if isinstance(values, Range)]

    def grid(self) -> Iterator[Settings]:
        """Every combination of values, the last setting fastest; there must be no ranges."""
        lists = [values for values in self.tried.values() if not isinstance(values, Range)]
        yield from (dict(zip(self.tried, values, strict=True)) for values in itertools.product(*lists))


def parse(assignments: Sequence[str], config: Training) -> Space:
    """The space that `name=...` texts span for a head's config. UsageError for what the head does not have, or could not be set to."""
    fixed: list[str] = []
    tried: dict[str, tuple[str, ...] | Range] = {}
    names = [assignment.partition("=")[0] for assignment in assignments]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--set {twice}: given twice; give all its values at once, with commas between")
    for name, assignment in zip(names, assignments, strict=True):
        _, _, text = assignment.partition("=")
        if ":" in text:
            tried[name] = _range(name, text, config)
        elif "," in text:
            tried[name] = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
        else:
            fixed.append(assignment)
    _check(config, fixed, tried)
    return Space(tuple(fixed), tried)


def _range(name: str, text: str, config: Training) -> Range:
    """A range such as log:1e-5:1e-2."""
    *kinds, low, high = text.split(":")
    kind = get_type_hints(type(config)).get(name, float)
    try:
        ends = float(low), float(high)
    except ValueError:
        raise UsageError(f"--set {name}={text}: expected LOW:HIGH, log:LOW:HIGH or int:LOW:HIGH") from None
    if not set(kinds) <= KINDS or kind not in (int, float):
        what = "numbers" if kind in (int, float) else "values with commas between, for it is no number"
        raise UsageError(f"--set {name}={text}: expected {what}; a range is LOW:HIGH, log:LOW:HIGH or int:LOW:HIGH")
    found = Range(*ends, log="log" in kinds, whole="int" in kinds or kind is int)
    if not -math.inf < found.low < found.high < math.inf or (found.log and found.low <= 0):
        raise UsageError(f"--set {name}={text}: expected a lower end{' above 0' if found.log else ''}, then a higher one, both finite")
    if found.whole and (ends[0] % 1 or ends[1] % 1):
        raise UsageError(f"--set {name}={text}: expected whole numbers")
    return found


def text_of(value: int | float, of: Range) -> str:
    """A number of a range as `--set` takes it; five digits are kept of those that are not whole."""
    return str(int(value)) if of.whole else f"{value:.5g}"


def _check(config: Training, fixed: Sequence[str], tried: Mapping[str, tuple[str, ...] | Range]) -> None:
    """UsageError for a value that the head does not take."""
    base = override(config, fixed)
    for name, values in tried.items():
        ends = tuple(text_of(end, values) for end in (values.low, values.high)) if isinstance(values, Range) else values
        for text in ends:
            override(base, [f"{name}={text}"])
    if "refit" in tried:
        raise UsageError("--set refit: what is trained on the validation part too cannot be judged on it; give one value")
    if not tried:
        raise UsageError("nothing to sweep over; give a setting several values, such as --set lr=1e-3,1e-4")
