"""A genotype: which operations join which states in a normal and in a reduction cell (Liu et al., "DARTS", ICLR 2019).

State 0 and 1 are the outputs of the last two cells, state 2 + i is node i: the sum of two edges from earlier states. The
output of a cell is the states of `normal_concat` or `reduce_concat`, one after the other along the channels.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from emocache.errors import UsageError

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The 8 of the paper, in the order of DARTS's code; `none` joins nothing."""
INPUTS = 2
NODES = 4
EDGES = sum(INPUTS + node for node in range(NODES))
"""Of a cell in the search: 14."""
KEPT = 2
"""Edges that a node keeps."""
MOST_NODES = 64
"""Of a cell in a file; those of the search have 4."""
PARTS = ("normal", "normal_concat", "reduce", "reduce_concat")

Edge = tuple[str, int]
"""An operation, and the state that it is applied to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Genotype:
    """Two edges for each node, in the order of the nodes."""

    normal: tuple[Edge, ...]
    reduce: tuple[Edge, ...]
    normal_concat: tuple[int, ...] = (2, 3, 4, 5)
    reduce_concat: tuple[int, ...] = (2, 3, 4, 5)

    def __post_init__(self) -> None:
        """Refuse cells that cannot be."""
        for name in ("normal", "reduce"):
            _check(name, getattr(self, name), getattr(self, f"{name}_concat"))

    def edges(self, *, reduction: bool) -> tuple[Edge, ...]:
        """Of one of the two cells."""
        return self.reduce if reduction else self.normal

    def concat(self, *, reduction: bool) -> tuple[int, ...]:
        """The states whose channels are the output of one of the two cells."""
        return self.reduce_concat if reduction else self.normal_concat


def _check(name: str, edges: Sequence[Edge], concat: Sequence[int]) -> None:
    """UsageError for a cell with an operation or a state that is not there."""
    if not edges or len(edges) % KEPT or len(edges) > KEPT * MOST_NODES:
        raise UsageError(f"genotype: {name} has {len(edges)} edges, expected {KEPT} for each of 1 to {MOST_NODES} nodes")
    for number, (operation, source) in enumerate(edges):
        if operation not in OPERATIONS:
            raise UsageError(f"genotype: {name} has the operation {operation[:50]!r}; there are: {', '.join(OPERATIONS)}")
        if not 0 <= source < INPUTS + number // KEPT:
            raise UsageError(
                f"genotype: node {number // KEPT} of {name} takes state {source}; there are 0 to {INPUTS + number // KEPT - 1}"
            )
    first, end = INPUTS if name == "reduce" else 0, INPUTS + len(edges) // KEPT  # what a reduction is given has larger sides
    if not concat or len(set(concat)) < len(concat) or not all(first <= state < end for state in concat):
        raise UsageError(f"genotype: {name}_concat is {list(concat[:9])}; states are {first} to {end - 1}, each once")


def to_json(genotype: Genotype) -> dict[str, Any]:
    """As one JSON object."""
    return {name: [list(one) if isinstance(one, tuple) else one for one in getattr(genotype, name)] for name in PARTS}


def from_json(value: Mapping[str, Any]) -> Genotype:
    """From what `to_json` gives, or from the fields of a published genotype; UsageError says what is wrong."""
    if missing := [name for name in ("normal", "reduce") if name not in value]:
        raise UsageError(f"genotype: {missing[0]} is missing; expected {', '.join(PARTS)}")
    if unknown := [name for name in value if name not in PARTS]:
        raise UsageError(f"genotype: there is a field {unknown[0]!r}; expected {', '.join(PARTS)}")
    try:
        edges = {name: tuple((str(operation), _state(state)) for operation, state in value[name]) for name in ("normal", "reduce")}
        concat = {name: tuple(map(_state, value[name])) for name in ("normal_concat", "reduce_concat") if name in value}
    except (TypeError, ValueError) as error:
        raise UsageError(f"genotype: {error}; expected edges such as ['sep_conv_3x3', 0] and numbers of states") from None
    return Genotype(**edges, **concat)  # type: ignore[arg-type]


def _state(value: object) -> int:
    """The number of a state."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no number of a state")
    return value


def from_text(text: str) -> Genotype:
    """From the form that DARTS prints, `Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), ...)`.

    Read with `ast` alone: nothing is evaluated. UsageError for anything else.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError("genotype: expected Genotype(normal=[('sep_conv_3x3', 0), ...], reduce=[...])") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Genotype":
        raise UsageError("genotype: expected Genotype(normal=[('sep_conv_3x3', 0), ...], reduce=[...])")
    fields = [*zip(PARTS, call.args, strict=False), *((one.arg or "", one.value) for one in call.keywords)]
    return from_json({name: _literal(value) for name, value in fields})


def _literal(node: ast.expr) -> object:
    """A literal, or the numbers of a range."""
    try:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
            return list(range(*(_state(ast.literal_eval(one)) for one in node.args))[: INPUTS + MOST_NODES])
        return ast.literal_eval(node)
    except (RecursionError, MemoryError):
        raise UsageError("genotype: is nested too deeply; expected lists, numbers and range(2, 6)") from None
    except (ValueError, TypeError) as error:
        raise UsageError(f"genotype: {error}; expected lists, numbers and range(2, 6)") from None


def decode(normal: Float[Tensor, "edges operations"], reduce: Float[Tensor, "edges operations"]) -> Genotype:
    """The genotype of two tables of architecture weights, as DARTS's code derives it.

    Weights are the softmax over all operations. A node keeps the two edges whose best operation but `none` weighs most, and each
    keeps that operation; edges are listed by descending weight, and of equal ones the lower number goes first.
    """
    return Genotype(normal=tuple(_decoded(normal)), reduce=tuple(_decoded(reduce)))


def _decoded(table: Float[Tensor, "edges operations"]) -> Iterator[Edge]:
    """The edges of one cell."""
    weights = torch.softmax(table.detach().double().cpu(), dim=-1)[:, 1:]
    best, operation = weights.max(dim=1).values, weights.argmax(dim=1)
    first = 0
    for node in range(NODES):
        sources = range(INPUTS + node)
        for source in sorted(sources, key=lambda one: -float(best[first + one]))[:KEPT]:
            yield OPERATIONS[1 + int(operation[first + source])], source
        first += len(sources)


def drawn(generator: torch.Generator) -> Genotype:
    """A genotype at random: for each node two states and an operation but `none` for each, all equally likely."""
    return Genotype(normal=tuple(_drawn(generator)), reduce=tuple(_drawn(generator)))


def _drawn(generator: torch.Generator) -> Iterator[Edge]:
    """The edges of one cell."""
    for node in range(NODES):
        for source in torch.randperm(INPUTS + node, generator=generator)[:KEPT].sort().values.tolist():
            yield OPERATIONS[1 + int(torch.randint(len(OPERATIONS) - 1, (), generator=generator))], source
