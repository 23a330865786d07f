"""A recurrent cell as a picture (figure 4 of EmotionNAS): from the frame and the hidden states before, on the left, to the new ones.

Every node stands in the column after its last input, in the height of what it needs; an edge is a curve from left to right.
"""

from collections.abc import Mapping
from statistics import fmean

from heads.emotionnas.recipe import BEFORE, CellRecipe, X
from heads.reporting import svg

COLUMN, ROW, WIDTH, HEIGHT, MARGIN = 170.0, 64.0, 112.0, 36.0, 24.0
"""Pixels: from column to column, from row to row, of a box, around."""
NAMES = {"activation_sigm": "sigmoid", "activation_leaky_relu": "leaky ReLU", "elementwise_prod": "product", "elementwise_sum": "sum"}
STYLE = (
    "text{font:12px sans-serif;fill:#222}.op{font-weight:bold}.edge{fill:none;stroke-width:1.5}"
    ".box{fill:#fff;stroke:#222}.given{fill:#e8eef4;stroke:#222}.new{fill:#fdeedd;stroke:#222}"
)
Places = Mapping[str, tuple[float, float]]
"""Name -> the middle of its box."""


def draw(recipe: CellRecipe) -> str:
    """An SVG file."""
    places = _places(recipe)
    width = max(x for x, _ in places.values()) + WIDTH / 2 + MARGIN
    height = max(y for _, y in places.values()) + HEIGHT / 2 + MARGIN
    parts = [f"<style>{STYLE}</style>", f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>']
    order = [name for name in places if name not in {node.name for node in recipe.nodes}]
    for node in recipe.nodes:
        for at, one in enumerate(node.inputs):
            colour = svg.PALETTE[[*order, *(other.name for other in recipe.nodes)].index(one) % len(svg.PALETTE)]
            parts.append(_edge(places[one], places[node.name], colour, at, len(node.inputs)))
    parts += [_box(places[name], name, "", "given") for name in order]
    for node in recipe.nodes:
        op = NAMES.get(node.op, node.op.removeprefix("activation_"))
        parts.append(_box(places[node.name], node.name, op, "new" if node.before else "box"))
    found = svg.picture(width, height, parts, "recurrent cell")
    return found.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _places(recipe: CellRecipe) -> Places:
    """Where every box is."""
    given = [*(f"{BEFORE}{i}" for i in range(recipe.states)), X]
    column = dict.fromkeys(given, 0)
    for node in recipe.nodes:
        column[node.name] = 1 + max(column[one] for one in node.inputs)
    inputs = {node.name: node.inputs for node in recipe.nodes}
    height = {name: float(i) for i, name in enumerate(given)}
    for at in range(1, 1 + max(column.values())):
        names = [node.name for node in recipe.nodes if column[node.name] == at]
        names.sort(key=lambda name: fmean(height[one] for one in inputs[name]))
        wanted = [fmean(height[one] for one in inputs[name]) + (at % 2) / 2 for name in names]
        for i, name in enumerate(names):
            height[name] = max(wanted[i], height[names[i - 1]] + 1) if i else wanted[i]
    least = min(height.values())
    return {
        name: (MARGIN + WIDTH / 2 + COLUMN * column[name], MARGIN + HEIGHT / 2 + ROW * (height[name] - least)) for name in height
    }  # fmt: skip


def _edge(start: tuple[float, float], end: tuple[float, float], colour: str, at: int, of: int) -> str:
    """A curve from the right of a box to the left of another, where the inputs of that enter one under the other."""
    (x, y), (u, v) = start, end
    x, u, v = x + WIDTH / 2, u - WIDTH / 2, v + (at - (of - 1) / 2) * 9
    bend = max(COLUMN / 3, (u - x) / 2)
    head = f"M{u - 6:g} {v - 3:g}L{u:g} {v:g}L{u - 6:g} {v + 3:g}"
    curve = f"M{x:g} {y:g}C{x + bend:g} {y:g} {u - bend:g} {v:g} {u:g} {v:g}"
    return f'<path d="{curve}{head}" class="edge" stroke="{colour}"/>'


def _box(place: tuple[float, float], name: str, op: str, kind: str) -> str:
    """A box with its operation and its name."""
    x, y = place
    box = f'<rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH:g}" height="{HEIGHT:g}" rx="6" class="{kind}"/>'
    if not op:
        return box + svg.text(x, y + 4, name, anchor="middle")
    return box + svg.text(x, y - 3, op, anchor="middle", kind="op") + svg.text(x, y + 12, name, anchor="middle")
