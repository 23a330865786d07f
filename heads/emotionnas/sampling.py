"""Random recurrent cells, after the rules by which NAS-Bench-NLP draws its own (the generator that was published with it).

Until there are nodes enough, an operation is drawn and gets inputs among what is there; a linear node is followed by an activation.
Then nodes drawn at random become the hidden states, and what these do not need is left out. A cell is kept if it needs the frame and
every hidden state before, and none of the new ones takes one of those directly. The draws are Python's, so that they are ours alone.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from emocache.errors import UsageError
from heads.emotionnas.recipe import AFTER, BEFORE, LINEAR, CellRecipe, X, of_json

OPERATIONS = {LINEAR: 3, "blend": 1, "elementwise_prod": 1, "elementwise_sum": 1}
"""Operation -> its weight in the draw."""
ACTIVATIONS = ("activation_tanh", "activation_sigm", "activation_leaky_relu")
LINEAR_INPUTS = {2: 4, 3: 1}
"""How many inputs a linear node has -> the weight of that."""
ELEMENTWISE_INPUTS = {"blend": 3, "elementwise_prod": 2, "elementwise_sum": 2}
MOST_DRAWS = 200_000
"""Some 30,000 of these meet both constraints."""
Nodes = dict[str, tuple[str, list[str]]]
"""Name -> operation and inputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """What cells to draw: hidden states and nodes beside them as published; matrices on the frame, on what is as wide as the cell, and
    linear nodes as the paper's parameter counts have them (SPEC 5.5). A 0 leaves these open.
    """

    states: int = 2
    nodes: int = 7
    frame_matrices: int = 1
    state_matrices: int = 6
    linear: int = 3

    def has(self, recipe: CellRecipe) -> bool:
        """Whether a cell is one of these."""
        pairs = (
            (self.frame_matrices, recipe.frame_matrices),
            (self.state_matrices, recipe.state_matrices),
            (self.linear, len(recipe.linear)),
        )
        return all(wanted in {0, found} for wanted, found in pairs)


def sample(count: int, seed: int, family: Family) -> list[CellRecipe]:
    """So many different cells of a family, the same for a seed. UsageError where MOST_DRAWS do not give as many."""
    found: dict[str, CellRecipe] = {}
    drawn = valid(random.Random(seed), family)
    while len(found) < count:
        recipe = next((one for one in drawn if family.has(one) and one.text() not in found), None)
        if recipe is None:
            raise UsageError(f"{MOST_DRAWS} draws gave {len(found)} of {count} such cells; ask for fewer, or for another family")
        found[recipe.text()] = recipe
    return list(found.values())


def valid(rng: random.Random, family: Family) -> Iterator[CellRecipe]:
    """The cells among MOST_DRAWS that meet both constraints."""
    for _ in range(MOST_DRAWS):
        nodes = draw(rng, family)
        before = {f"{BEFORE}{i}" for i in range(family.states)}
        needed = {one for _, inputs in nodes.values() for one in inputs}
        direct = any(before.intersection(inputs) for name, (_, inputs) in nodes.items() if name.startswith(AFTER))
        if not direct and {X, *before} <= needed:
            yield of_json({name: {"op": op, "input": inputs} for name, (op, inputs) in nodes.items()})


def draw(rng: random.Random, family: Family) -> Nodes:
    """One cell, whether or not it meets the constraints, without what its hidden states do not need."""
    nodes: Nodes = {}
    before = [f"{BEFORE}{i}" for i in range(family.states)]
    activated: list[str] = []
    while len(nodes) < family.states + family.nodes:
        (op,) = rng.choices(list(OPERATIONS), list(OPERATIONS.values()))
        if op == LINEAR:
            (inputs,) = rng.choices(list(LINEAR_INPUTS), list(LINEAR_INPUTS.values()))
            there = [X, *before, *activated]
            nodes[name := f"node_{len(nodes)}"] = (op, rng.sample(there, min(inputs, len(there))))
            activated.append(f"node_{len(nodes)}")
            nodes[activated[-1]] = (rng.choice(ACTIVATIONS), [name])
        elif len(there := [*before, *nodes]) >= ELEMENTWISE_INPUTS[op]:
            nodes[f"node_{len(nodes)}"] = (op, rng.sample(there, ELEMENTWISE_INPUTS[op]))
    new = {name: f"{AFTER}{i}" for i, name in enumerate(rng.sample(list(nodes), family.states))}
    renamed = {new.get(name, name): (op, [new.get(one, one) for one in inputs]) for name, (op, inputs) in nodes.items()}
    return _needed(renamed, list(new.values()))


def _needed(nodes: Nodes, states: list[str]) -> Nodes:
    """The nodes that hidden states are made of."""
    wanted = list(states)
    for name in wanted:
        wanted += [one for one in nodes[name][1] if one in nodes and one not in wanted]
    return {name: nodes[name] for name in nodes if name in wanted}
