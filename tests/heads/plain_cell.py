"""A recurrent cell as one would write it down: utterance by utterance, direction by direction, step by step, node by node."""

import torch
from torch import Tensor, nn

from heads.emotionnas.recipe import AFTER, CellRecipe, Node
from heads.emotionnas.recurrence import Recurrence

ACTIVATIONS = {"activation_tanh": torch.tanh, "activation_sigm": torch.sigmoid, "activation_leaky_relu": nn.functional.leaky_relu}


class PlainCell(nn.Module):
    """One direction: frames [batch, time, inputs] of one length -> [batch, time, width]."""

    def __init__(self, recipe: CellRecipe, inputs: int, width: int) -> None:
        super().__init__()
        self.recipe, self.width = recipe, width
        self.linear = nn.ModuleDict()
        for node in recipe.linear:
            parts = [nn.Linear(inputs if one == "x" else width, width, bias=number == 0) for number, one in enumerate(node.inputs)]
            self.linear[f"of_{node.name}"] = nn.ModuleList(parts)

    def forward(self, frames: Tensor) -> Tensor:
        values = {f"h_prev_{i}": frames.new_zeros(len(frames), self.width) for i in range(self.recipe.states)}
        outputs = []
        for x in frames.unbind(1):
            values["x"] = x
            for node in self.recipe.nodes:
                values[node.name] = self.node(node, [values[one] for one in node.inputs])
            for i in range(self.recipe.states):
                values[f"h_prev_{i}"] = values[f"{AFTER}{i}"]
            outputs.append(values[f"{AFTER}0"])
        return torch.stack(outputs, 1)

    def node(self, node: Node, inputs: list[Tensor]) -> Tensor:
        if node.op == "linear":
            return torch.stack([part(one) for part, one in zip(self.linear[f"of_{node.name}"], inputs, strict=True)]).sum(0)
        if node.op == "elementwise_prod":
            return inputs[0] * inputs[1]
        if node.op == "elementwise_sum":
            return inputs[0] + inputs[1]
        if node.op == "blend":
            return inputs[0] * inputs[1] + (1 - inputs[0]) * inputs[2]
        return ACTIVATIONS[node.op](inputs[0])


class PlainLayer(nn.Module):
    """Both directions, with the weights of a `Recurrence`, on one utterance [time, inputs] or several of one length."""

    def __init__(self, fast: Recurrence) -> None:
        super().__init__()
        recipe = fast.program.recipe
        inputs = fast.frames.shape[2]
        self.cells = nn.ModuleList(PlainCell(recipe, inputs, fast.width) for _ in range(fast.directions)).to(fast.bias.dtype)
        with torch.no_grad():
            for part, weight in self.pairs(fast):
                part.copy_(weight)

    def pairs(self, fast: Recurrence, *, grad: bool = False) -> list[tuple[Tensor, Tensor]]:
        """Each weight of ours, or its gradient, beside that of the fast layer."""
        program, width = fast.program, fast.width
        found = []
        for d, cell in enumerate(self.cells):
            for node in program.recipe.linear:
                column = program.linear.index(node.name)
                parts = cell.linear[f"of_{node.name}"]
                found.append((parts[0].bias, fast.bias, (d, slice(column * width, (column + 1) * width)), False))
                for name, part in zip(node.inputs, parts, strict=True):
                    if name == "x":
                        found.append((part.weight, fast.frames, (d, slice(column * width, (column + 1) * width)), False))
                        continue
                    users = [i for i, other in enumerate(program.linear) if name in _node(program.recipe, other).inputs]
                    at = users.index(column) * width
                    found.append((part.weight, fast.matrices[program.values.index(name)], (d, slice(None), slice(at, at + width)), True))
        pairs = []
        for plain, quick, where, turned in found:
            one = plain if not grad else torch.zeros_like(plain) if plain.grad is None else plain.grad  # some states reach no output
            other = (quick.grad if grad else quick)[where]
            pairs.append((one, other.T if turned else other))
        return pairs

    def forward(self, frames: Tensor) -> Tensor:
        batch = frames[None] if frames.ndim == 2 else frames
        each = [cell(batch.flip(1)).flip(1) if d else cell(batch) for d, cell in enumerate(self.cells)]
        joined = torch.cat(each, 2)
        return joined[0] if frames.ndim == 2 else joined


def _node(recipe: CellRecipe, name: str) -> Node:
    return next(node for node in recipe.nodes if node.name == name)
