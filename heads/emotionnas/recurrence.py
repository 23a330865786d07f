"""A recurrent layer of any cell, forward and backward through time, both directions side by side.

What does not depend on the step before is done for all steps at once: the products with the frames before the loop, the gradients of
all matrices after it. Within a step, all matrices on one value are one product. The way back is written by hand, operation by
operation, so that autograd keeps no graph of the steps. The loop is in float32 whatever `precision` is.

Utterances are sorted by length, and a step takes those that are not over; so there is no padding, and the way back in time begins at
each utterance's own end:

    rows of one direction  |- step 0: all -|- step 1: all -|- step 2: the longer ones -| ...
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from heads.emotionnas.products import Linear, Matrix
from heads.emotionnas.recipe import BEFORE, OUTPUT, CellRecipe, Node, X

SLOPE = 0.01
"""Of leaky ReLU below 0."""
FORWARD: dict[str, Callable[..., Tensor]] = {
    "activation_tanh": torch.tanh,
    "activation_sigm": torch.sigmoid,
    "activation_leaky_relu": lambda value, out: torch.ops.aten.leaky_relu.out(value, SLOPE, out=out),
    "elementwise_prod": torch.mul,
    "elementwise_sum": torch.add,
    "blend": lambda share, one, other, out: torch.lerp(other, one, share, out=out),
}
"""Operation -> what computes it from its inputs into `out`."""
ACTIVATION_BACKWARD: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "activation_tanh": torch.ops.aten.tanh_backward,
    "activation_sigm": torch.ops.aten.sigmoid_backward,
    "activation_leaky_relu": lambda grad, value: torch.ops.aten.leaky_relu_backward(grad, value, SLOPE, False),
}
"""Activation -> the gradient of its input, from that of its value and the value itself, whose sign is the input's."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Which utterances a step takes, and where rows of the steps lie among packed ones.

    `sizes` are utterances of each step; `order` and `back`, each [2, rows], are packed rows in the order of the steps and the other
    way round, forward in time and backward; `before` [rows - sizes[0]] is where the step before lies of each row after the first step.
    """

    sizes: tuple[int, ...]
    order: Int[Tensor, "2 rows"]
    back: Int[Tensor, "2 rows"]
    before: Int[Tensor, " rows_after_first"]


def steps_of(offsets: Int[Tensor, " edges"]) -> Steps:
    """Of packed utterances."""
    lengths, sorted_by = offsets.diff().sort(descending=True, stable=True)
    time = torch.arange(int(lengths[0]), device=offsets.device)
    step, rank = (time[:, None] < lengths).nonzero(as_tuple=True)
    first = offsets[:-1][sorted_by][rank]
    order = torch.stack([first + step, first + lengths[rank] - 1 - step])
    sizes = (time[:, None] < lengths).sum(1)
    begins = sizes.cumsum(0) - sizes
    later = step > 0
    return Steps(tuple(sizes.tolist()), order, order.argsort(1), begins[step[later] - 1] + rank[later])


@dataclass(frozen=True, slots=True)
class Product:
    """A value times the matrices of neighbouring linear nodes: columns `first` to `last` of the pre-activations, in widths."""

    value: str
    matrix: int
    first: int
    last: int
    of_matrix: int
    """Where these columns begin among those of the value's matrix, in widths."""


class Program:
    """What is to be done in a step of a cell, and in what order.

    `linear` are the nodes whose pre-activations lie side by side, those on the frame first; `values` have a matrix each, which holds
    the matrices of all nodes on that value side by side.
    """

    def __init__(self, recipe: CellRecipe) -> None:
        self.recipe = recipe
        linear = sorted(recipe.linear, key=lambda node: X not in node.inputs)
        self.linear = tuple(node.name for node in linear)
        self.states = tuple((f"{BEFORE}{i}", f"{OUTPUT[:-1]}{i}") for i in range(recipe.states))
        names = (*(before for before, _ in self.states), *(node.name for node in recipe.nodes))
        users = {name: [i for i, node in enumerate(linear) if name in node.inputs] for name in names}
        self.values = tuple(name for name in names if users[name])
        self.widths = tuple(len(users[name]) for name in self.values)
        self.products = {name: list(_products(name, i, users[name])) for i, name in enumerate(self.values)}
        self.consumers = {name: [node for node in recipe.nodes if node.op != "linear" and name in node.inputs] for name in names}
        self.names = names


def _products(value: str, matrix: int, columns: Sequence[int]) -> Iterator[Product]:
    """One for each run of neighbouring columns."""
    begin = 0
    for i, column in enumerate(columns):
        if i + 1 == len(columns) or columns[i + 1] != column + 1:
            yield Product(value, matrix, columns[begin], column + 1, begin)
            begin = i + 1


class _Loop:
    """The values of all nodes at all steps, each [directions, rows, width], and views of each step.

    `pre` are the pre-activations of all linear nodes side by side, `buffers` the values of all others.
    """

    def __init__(self, program: Program, steps: Steps, pre: Tensor, matrices: Sequence[Tensor], buffers: dict[str, Tensor]) -> None:
        self.program, self.steps, self.width = program, steps, pre.shape[2] // len(program.linear)
        self.pre, self.matrices, self.buffers = pre, matrices, buffers
        self.views: dict[str, Sequence[Tensor]] = {name: self.columns(pre, i, i + 1) for i, name in enumerate(program.linear)}
        self.views |= {name: self.seen(buffer) for name, buffer in buffers.items()}
        for before, after in program.states:
            views = self.views[after]
            shorter = (view[:, :size] for view, size in zip(views, steps.sizes[1:], strict=False))
            self.views[before] = [torch.zeros_like(views[0]), *shorter]

    def columns(self, wide: Tensor, first: int, last: int) -> Sequence[Tensor]:
        """Views of some columns, in widths, step by step."""
        return self.seen(wide[:, :, first * self.width : last * self.width])

    def seen(self, buffer: Tensor) -> Sequence[Tensor]:
        """Views of a buffer step by step."""
        return torch.split(buffer, list(self.steps.sizes), 1)

    def matrix(self, product: Product) -> Tensor:
        """[directions, width, columns]."""
        columns = (product.last - product.first) * self.width
        return self.matrices[product.matrix][:, :, product.of_matrix * self.width :][:, :, :columns]

    def forward(self) -> None:
        """Fill in all values; `pre` holds what comes from the frames and the biases."""
        todo: list[tuple[Callable[..., object], list[Sequence[Tensor]], Sequence[Tensor]]] = []
        nodes = {node.name: node for node in self.program.recipe.nodes}
        for name in self.program.names:
            if name in nodes and nodes[name].op in FORWARD:
                todo.append((FORWARD[nodes[name].op], [self.views[one] for one in nodes[name].inputs], self.views[name]))
            for product in self.program.products.get(name, ()):
                into = self.columns(self.pre, product.first, product.last)
                todo.append((Matrix(self.matrix(product)).add, [self.views[name]], into))
        for step in range(len(self.steps.sizes)):
            for compute, inputs, out in todo:
                compute(*[one[step] for one in inputs], out=out[step])

    def backward(self, grad: Tensor) -> Tensor:
        """The gradient of `pre`, from that of the cell's output."""
        found = torch.empty_like(self.pre)
        way = _Way(self, self.seen(grad), found)
        for step in reversed(range(len(self.steps.sizes))):
            way.back(step)
        return found


class _Way:
    """The way back through the steps. A node's gradient is summed from what its users give, once these are done."""

    def __init__(self, loop: _Loop, grad: Sequence[Tensor], found: Tensor) -> None:
        self.loop = loop
        self.grad = grad
        self.carried: dict[str, Tensor] = {}
        columns = loop.columns
        self.into = {name: columns(found, i, i + 1) for i, name in enumerate(loop.program.linear)}
        self.products = {
            name: [(columns(found, one.first, one.last), Matrix(loop.matrix(one).transpose(1, 2))) for one in products]
            for name, products in loop.program.products.items()
        }

    def back(self, step: int) -> None:
        """One step."""
        grads: dict[str, Tensor] = {}
        for name in reversed(self.loop.program.names):
            grads[name] = total = self._total(name, step, grads)
            if name in self.into:
                self.into[name][step].copy_(total)
        self.carried = {after: grads[before] for before, after in self.loop.program.states}

    def _total(self, name: str, step: int, grads: dict[str, Tensor]) -> Tensor:
        """The gradient of a node's value, or of a hidden state before the step."""
        program, like = self.loop.program, self.grad[step]
        parts = [self._from(node, name, step, grads[node.name]) for node in program.consumers[name]]
        if name == OUTPUT:
            parts.append(like)
        if name in self.carried:
            parts.append(_longer(self.carried[name], like))
        if products := self.products.get(name):
            parts.append(torch.zeros(like.shape, dtype=like.dtype, device=like.device))
            for views, matrix in products:
                matrix.add(views[step], out=parts[-1])
        return sum(parts[1:], start=parts[0]) if parts else torch.zeros_like(like)

    def _from(self, node: Node, name: str, step: int, grad: Tensor) -> Tensor:
        """What one user of a value gives to its gradient."""
        values = self.loop.views
        if node.op in ACTIVATION_BACKWARD:
            return ACTIVATION_BACKWARD[node.op](grad, values[node.name][step])
        if node.op == "elementwise_sum":
            return grad
        if node.op == "elementwise_prod":
            (other,) = (one for one in node.inputs if one != name)
            return grad * values[other][step]
        share, one, other = node.inputs
        if name == share:
            return grad * (values[one][step] - values[other][step])
        return grad * (values[share][step] if name == one else 1 - values[share][step])


def _longer(carried: Tensor, like: Tensor) -> Tensor:
    """What the step after gives, which may have taken fewer utterances."""
    return F.pad(carried, (0, 0, 0, like.shape[1] - carried.shape[1])) if carried.shape[1] < like.shape[1] else carried


class _Recurrence(torch.autograd.Function):
    """Products of the frames [rows, directions, a width], biases [directions, m width], a matrix by value -> [rows, directions, width]."""

    @staticmethod
    def forward(ctx: Any, program: Program, steps: Steps, projected: Tensor, bias: Tensor, *matrices: Tensor) -> Tensor:
        """The rows are packed, those of all buffers in the order of the steps."""
        rows, directions, of_frames = projected.shape
        width = bias.shape[1] // len(program.linear)
        pre = bias[:, None].repeat(1, rows, 1)
        for direction, part in enumerate(pre):
            part[:, :of_frames] += projected[:, direction].index_select(0, steps.order[direction])
        buffers = {node.name: pre.new_empty(directions, rows, width) for node in program.recipe.nodes if node.name not in program.linear}
        _Loop(program, steps, pre, matrices, buffers).forward()
        ctx.program, ctx.steps, ctx.of_frames, ctx.names = program, steps, of_frames, tuple(buffers)
        ctx.save_for_backward(pre, *matrices, *buffers.values())
        output = buffers[OUTPUT] if OUTPUT in buffers else _column(pre, program.linear.index(OUTPUT), width)
        return torch.stack([one.index_select(0, back) for one, back in zip(output, steps.back, strict=False)], 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Through all steps, then the gradients of the matrices in one product for each value."""
        program, steps = ctx.program, ctx.steps
        pre, *saved = ctx.saved_tensors
        matrices, kept = saved[: len(program.values)], saved[len(program.values) :]
        loop = _Loop(program, steps, pre, matrices, dict(zip(ctx.names, kept, strict=True)))
        (grad,) = grads
        found = loop.backward(torch.stack([grad[:, i].index_select(0, order) for i, order in enumerate(steps.order[: len(pre)])]))
        of_frames = torch.stack([one[:, : ctx.of_frames].index_select(0, back) for one, back in zip(found, steps.back, strict=False)], 1)
        return None, None, of_frames, found.sum(1), *(_of_matrix(loop, found, name) for name in program.values)


def _column(pre: Tensor, number: int, width: int) -> Tensor:
    """The pre-activations of one linear node."""
    return pre[:, :, number * width : (number + 1) * width]


def _of_matrix(loop: _Loop, found: Tensor, name: str) -> Tensor:
    """The gradient of the matrix of a value."""
    program, width = loop.program, loop.width
    after = dict(program.states).get(name)
    source = after or name
    values = loop.buffers[source] if source in loop.buffers else _column(loop.pre, program.linear.index(source), width)
    if after:
        values, found = values[:, loop.steps.before], found[:, loop.steps.sizes[0] :]
    parts = [found[:, :, one.first * width : one.last * width] for one in program.products[name]]
    grad = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
    return values.transpose(1, 2) @ grad


class Recurrence(nn.Module):
    """One layer: packed rows [rows, inputs] -> [rows, directions * width], the output of every step.

    With two directions the second one goes through each utterance from its end, with weights of its own. The weights begin uniform
    in +-1 / sqrt(width), as those that the recipes were published with.
    """

    def __init__(self, recipe: CellRecipe, inputs: int, width: int, *, directions: int = 2) -> None:
        """Directions * (a inputs width + b width^2 + m width) parameters."""
        super().__init__()
        self.program = program = Program(recipe)
        self.directions, self.width = directions, width
        self.frames = nn.Parameter(torch.empty(directions, recipe.frame_matrices * width, inputs))
        self.bias = nn.Parameter(torch.empty(directions, len(program.linear) * width))
        self.matrices = nn.ParameterList(torch.empty(directions, width, many * width) for many in program.widths)
        for weight in self.parameters():
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)

    def forward(self, rows: Float[Tensor, "rows inputs"], steps: Steps) -> Float[Tensor, "rows outputs"]:
        """`steps` are those of the rows' utterances."""
        projected: Tensor = Linear.apply(rows, self.frames.flatten(0, 1))  # type: ignore[no-untyped-call]
        projected = projected.view(len(rows), self.directions, -1)
        found: Tensor = _Recurrence.apply(self.program, steps, projected, self.bias, *self.matrices)  # type: ignore[no-untyped-call]
        return found.flatten(1)
