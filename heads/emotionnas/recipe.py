"""The cell language of NAS-Bench-NLP (Klyuchnikov et al., arXiv 2006.07116): what a recurrent cell computes in one step, as data.

A recipe is a JSON object of nodes, each with an operation and its inputs:

    {"f": {"op": "linear", "input": ["x", "h_prev_0"]}, "h_new_0": {"op": "activation_tanh", "input": ["f"]}}

`x` is the frame, `h_prev_i` the hidden states after the step before (0 at first), `h_new_i` those after this one; h_new_0 is the
cell's output. `linear` has a matrix for each input and one bias; `blend` of a, b, c is a b + (1 - a) c; all else is elementwise.
"""

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from emocache.errors import UsageError

X = "x"
BEFORE = "h_prev_"
AFTER = "h_new_"
OUTPUT = f"{AFTER}0"
LINEAR = "linear"
INPUTS = {
    LINEAR: range(2, 4),
    "blend": range(3, 4),
    "elementwise_prod": range(2, 3),
    "elementwise_sum": range(2, 3),
    "activation_tanh": range(1, 2),
    "activation_sigm": range(1, 2),
    "activation_leaky_relu": range(1, 2),
}
"""Operation -> how many inputs it has."""
MOST_NODES = 64
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
STATE = re.compile(rf"{AFTER}(\d{{1,2}})")


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a cell."""

    name: str
    op: str
    inputs: tuple[str, ...]

    @property
    def before(self) -> str:
        """What it is called in the next step, if it is a hidden state; else ''."""
        return f"{BEFORE}{found[1]}" if (found := STATE.fullmatch(self.name)) else ""


@dataclass(frozen=True, slots=True)
class CellRecipe:
    """A recurrent cell: its nodes, each after those that it needs."""

    nodes: tuple[Node, ...]

    @property
    def states(self) -> int:
        """How many hidden states it has."""
        return sum(bool(node.before) for node in self.nodes)

    @property
    def linear(self) -> tuple[Node, ...]:
        """The nodes with matrices."""
        return tuple(node for node in self.nodes if node.op == LINEAR)

    @property
    def frame_matrices(self) -> int:
        """How many matrices are multiplied with the frame: the a of SPEC 5.5."""
        return sum(node.inputs.count(X) for node in self.linear)

    @property
    def state_matrices(self) -> int:
        """How many are multiplied with values of the cell: b."""
        return sum(len(node.inputs) for node in self.linear) - self.frame_matrices

    def parameters(self, inputs: int, width: int) -> int:
        """How many weights a cell of `width` has on frames of `inputs` dimensions: a in h + b h^2 + m h."""
        return self.frame_matrices * inputs * width + self.state_matrices * width**2 + len(self.linear) * width

    def to_json(self) -> dict[str, Any]:
        """As the published files have it."""
        return {node.name: {"op": node.op, "input": list(node.inputs)} for node in self.nodes}

    def text(self) -> str:
        """The same on one line; the same cell has one text, whatever the order of the file that it is from."""
        return json.dumps(self.to_json(), separators=(",", ":"))

    def words(self) -> str:
        """In short: f = linear(x, h_prev_0); h_new_0 = tanh(f)."""
        return "; ".join(f"{node.name} = {node.op.partition('_')[2] or node.op}({', '.join(node.inputs)})" for node in self.nodes)

    @property
    def digest(self) -> str:
        """The first digits of a digest of the text, to name a cell by."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:8]


def read(text: str, where: str = "recipe") -> CellRecipe:
    """The recipe in a text: JSON, or a Python literal as published logs have it. UsageError."""
    return of_json(value_of(text, where), where)


def value_of(text: str, where: str = "recipe") -> object:
    """What JSON, or a Python literal, says; it is read and never evaluated. UsageError for a text that is neither."""
    try:
        return json.loads(text)
    except ValueError:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            raise UsageError(f"{where}: is neither JSON nor a Python literal; give a recipe as NAS-Bench-NLP writes it") from None
    except RecursionError:
        raise UsageError(f"{where}: is nested too deeply to be a recipe") from None


def published(found: object) -> bool:
    """Whether a value has the form of a published recipe, right or wrong, rather than that of a file of ours."""
    return isinstance(found, Mapping) and "format" not in found and any(name in found for name in (OUTPUT, "recipe", "recepie"))


def of_json(found: object, where: str = "recipe") -> CellRecipe:
    """The recipe that nodes by name make, checked; `recipe` or the published `recepie` may hold them. UsageError."""
    for wrapper in ("recipe", "recepie"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping) and "op" not in found[wrapper]:
            found = found[wrapper]
    if not isinstance(found, Mapping) or not 0 < len(found) <= MOST_NODES:
        raise UsageError(f"{where}: expected an object of 1 to {MOST_NODES} nodes by name")
    nodes = {str(name): _node(str(name), value, where) for name, value in found.items()}
    states = sum(bool(node.before) for node in nodes.values())
    if not states or any(f"{AFTER}{i}" not in nodes for i in range(states)):
        raise UsageError(f"{where}: the hidden states must be {AFTER}0, {AFTER}1 and so on, and are not")
    given = {X, *(f"{BEFORE}{i}" for i in range(states))}
    for node in nodes.values():
        if unknown := [one for one in node.inputs if one not in nodes and one not in given]:
            raise UsageError(f"{where}: {node.name} needs {unknown[0]}, and there is no such node or hidden state")
    recipe = CellRecipe(_sorted(nodes, where))
    _check_used(recipe, where)
    return recipe


def _node(name: str, value: object, where: str) -> Node:
    """One node, checked by itself."""
    if not NAME.fullmatch(name) or name == X or name.startswith(BEFORE):
        raise UsageError(f"{where}: {name[:50]!r} cannot be the name of a node")
    if not isinstance(value, Mapping) or set(value) != {"op", "input"} or not isinstance(value["input"], list | tuple):
        raise UsageError(f'{where}: {name} is no node; expected {{"op": ..., "input": [...]}}')
    op, inputs = value["op"], tuple(value["input"])
    if not isinstance(op, str) or op not in INPUTS:
        raise UsageError(f"{where}: {name} has the operation {str(op)[:50]!r}; there are: {', '.join(INPUTS)}")
    if not all(isinstance(one, str) for one in inputs) or len(set(inputs)) < len(inputs):
        raise UsageError(f"{where}: the inputs of {name} must be names, each once")
    if len(inputs) not in INPUTS[op]:
        raise UsageError(f"{where}: {name} has {len(inputs)} inputs, {op} takes {' or '.join(map(str, INPUTS[op]))}")
    if X in inputs and op != LINEAR:
        raise UsageError(f"{where}: {name} is {op} of the frame, which is not as wide as the cell; only linear takes {X}")
    return Node(name, op, inputs)


def _sorted(nodes: Mapping[str, Node], where: str) -> tuple[Node, ...]:
    """The nodes, each after those that it needs, in one order whatever the file's."""
    sorter = TopologicalSorter({name: {one for one in nodes[name].inputs if one in nodes} for name in sorted(nodes)})
    try:
        sorter.prepare()
    except CycleError as error:
        raise UsageError(f"{where}: {' needs '.join(error.args[1])}: a cell has no loop within a step") from None
    order: list[Node] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += [nodes[name] for name in ready]
        sorter.done(*ready)
    return tuple(order)


def _check_used(recipe: CellRecipe, where: str) -> None:
    """UsageError for what nothing depends on: the frame, a hidden state, or a node."""
    used = {one for node in recipe.nodes for one in node.inputs}
    states = range(recipe.states)
    wanted = [X, *(f"{BEFORE}{i}" for i in states), *(node.name for node in recipe.nodes if not node.before)]
    if idle := [one for one in wanted if one not in used]:
        raise UsageError(f"{where}: nothing depends on {idle[0]}")
