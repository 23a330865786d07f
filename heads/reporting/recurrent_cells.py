"""A recurrent cell as a picture (figure 4 of EmotionNAS): from the frame and the hidden states before, on the left, to the new ones.

Every node stands in the column after its last input, in the height of what it needs; an edge is a curve from left to right, with a
place of its own in every column that it passes, so that it runs behind no box.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
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
"""Name, or `_pass` of a name in a column -> the middle of its box, or where its edges pass."""


def draw(recipe: CellRecipe) -> str:
    """An SVG file."""
    places = _places(recipe)
    width = max(x for x, _ in places.values()) + WIDTH / 2 + MARGIN
    height = max(y for _, y in places.values()) + HEIGHT / 2 + MARGIN
    parts = [f"<style>{STYLE}</style>", f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>']
    given, column = _given(recipe), _columns(recipe)
    colours = dict(zip(column, svg.PALETTE * len(column), strict=False))
    for node in recipe.nodes:
        for at, one in enumerate(node.inputs):
            by = [places[_pass(one, between)] for between in range(column[one] + 1, column[node.name])]
            parts.append(_edge([places[one], *by, places[node.name]], colours[one], (at - (len(node.inputs) - 1) / 2) * 9))
    parts += [_box(places[name], name, "", "given") for name in given]
    for node in recipe.nodes:
        op = NAMES.get(node.op, node.op.removeprefix("activation_"))
        parts.append(_box(places[node.name], node.name, op, "new" if node.before else "box"))
    found = svg.picture(width, height, parts, "recurrent cell")
    return found.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _given(recipe: CellRecipe) -> list[str]:
    """What a step begins with."""
    return [*(f"{BEFORE}{i}" for i in range(recipe.states)), X]


def _columns(recipe: CellRecipe) -> dict[str, int]:
    """In which column everything stands."""
    found = dict.fromkeys(_given(recipe), 0)
    for node in recipe.nodes:
        found[node.name] = 1 + max(found[one] for one in node.inputs)
    return found


def _pass(name: str, column: int) -> str:
    """Where the edges from a value pass a column."""
    return f"{name}>{column}"


def _places(recipe: CellRecipe) -> Places:
    """Where every box is, and every edge that passes a column."""
    column = _columns(recipe)
    needs = {node.name: list(node.inputs) for node in recipe.nodes}
    passing: dict[str, int] = {}
    for node in recipe.nodes:
        for one in node.inputs:
            passing |= {_pass(one, at): at for at in range(column[one] + 1, column[node.name])}
    needs |= {name: [name.partition(">")[0]] for name in passing}
    column |= passing
    height = {name: float(i) for i, name in enumerate(_given(recipe))}
    for at in range(1, 1 + max(column.values())):
        names = sorted((name for name in needs if column[name] == at), key=lambda name: fmean(height[one] for one in needs[name]))
        middle = fmean(height[one] for name in names for one in needs[name])
        height |= {name: middle + i - (len(names) - 1) / 2 for i, name in enumerate(names)}
    least = min(height.values())
    return {
        name: (MARGIN + WIDTH / 2 + COLUMN * column[name], MARGIN + HEIGHT / 2 + ROW * (height[name] - least)) for name in height
    }  # fmt: skip


def _edge(points: Sequence[tuple[float, float]], colour: str, aside: float) -> str:
    """A curve from the right of a box by way of some places to the left of another, `aside` of its middle."""
    (x, y), *between, (u, v) = points
    x, u, v = x + WIDTH / 2, u - WIDTH / 2, v + aside
    ways = [(x, y), *(one for a, b in between for one in ((a - WIDTH / 2, b), (a + WIDTH / 2, b))), (u, v)]
    bends = (f"C{(a + c) / 2:g} {b:g} {(a + c) / 2:g} {d:g} {c:g} {d:g}" for (a, b), (c, d) in pairwise(ways))
    head = f"M{u - 6:g} {v - 3:g}L{u:g} {v:g}L{u - 6:g} {v + 3:g}"
    return f'<path d="M{x:g} {y:g}{"".join(bends)}{head}" class="edge" stroke="{colour}"/>'


def _box(place: tuple[float, float], name: str, op: str, kind: str) -> str:
    """A box with its operation and its name."""
    x, y = place
    box = f'<rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH:g}" height="{HEIGHT:g}" rx="6" class="{kind}"/>'
    if not op:
        return box + svg.text(x, y + 4, name, anchor="middle")
    return box + svg.text(x, y - 3, op, anchor="middle", kind="op") + svg.text(x, y + 12, name, anchor="middle")
