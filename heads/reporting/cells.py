"""A convolutional cell as a picture (figure 3 of EmotionNAS): states on a line, edges as arcs with their operations.

A node's first edge goes above the line and its second one below it; thin arcs lead from the states that the output is made of to c_k.
"""

from heads.emotionnas.genotype import INPUTS, KEPT, Genotype
from heads.reporting import svg

STEP, MARGIN, RISE, SIZE = 124.0, 52.0, 26.0, 14.0
"""Pixels: from state to state, around, height of an arc for each state that it spans, half of a state's side."""
STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.operation{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:7px}"
    ".edge{fill:none;stroke:#0072B2;stroke-width:1.6}.out{fill:none;stroke:#aaa;stroke-width:1}.state{fill:#fff;stroke:#222}"
)


def draw(genotype: Genotype) -> str:
    """An SVG file: the normal cell, and the reduction cell under it."""
    panels = [_panel(genotype, reduction=reduction) for reduction in (False, True)]
    width, height = max(panel[1] for panel in panels), sum(panel[2] for panel in panels)
    parts, top = [f"<style>{STYLE}</style>", f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>'], 0.0
    for body, _, tall in panels:
        parts.append(f'<g transform="translate(0 {top:g})">{body}</g>')
        top += tall
    picture = svg.picture(width, height, parts, "normal and reduction cell")
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _panel(genotype: Genotype, *, reduction: bool) -> tuple[str, float, float]:
    """One cell, its width and its height."""
    edges, concat = genotype.edges(reduction=reduction), genotype.concat(reduction=reduction)
    nodes = len(edges) // KEPT
    names = ["cₖ₋₂", "cₖ₋₁", *map(str, range(nodes)), "cₖ"]
    line = MARGIN + _rise(0, nodes + 1)
    parts = [svg.text(MARGIN - SIZE, 24.0, "reduction cell" if reduction else "normal cell", kind="title")]
    parts += [_arc(state, nodes + INPUTS, line, 1, "out") for state in concat]
    arcs = [(source, INPUTS + at // KEPT, (-1, 1)[at % KEPT], name) for at, (name, source) in enumerate(edges)]
    parts += [_arc(source, node, line, side, "edge") for source, node, side, _ in arcs]
    parts += [svg.text((_x(source) + _x(node)) / 2, line + side * _rise(source, node) + 4, name, anchor="middle", kind="operation")
              for source, node, side, name in arcs]  # fmt: skip
    for state, name in enumerate(names):
        parts.append(
            f'<rect x="{_x(state) - 2 * SIZE:g}" y="{line - SIZE:g}" width="{4 * SIZE:g}" height="{2 * SIZE:g}" rx="5" class="state"/>'
        )
        parts.append(svg.text(_x(state), line + 4, name, anchor="middle"))
    return "".join(parts), _x(len(names) - 1) + MARGIN, 2 * line - MARGIN / 2


def _x(state: int) -> float:
    """Where a state is on the line."""
    return MARGIN + STEP * state


def _rise(source: int, node: int) -> float:
    """How far from the line the middle of an arc is."""
    return SIZE + (node - source) * RISE


def _arc(source: int, node: int, line: float, side: int, kind: str) -> str:
    """From state to state, above (-1) or below (1) the line; the more states it spans, the further away its middle is."""
    away = line + side * _rise(source, node) * 4 / 3
    near, far = _x(source) + SIZE, _x(node) - SIZE
    start = line + side * SIZE
    bend = away + side * -SIZE / 3
    return f'<path d="M{near:g} {start:g}C{near + STEP / 3:g} {bend:g} {far - STEP / 3:g} {bend:g} {far:g} {start:g}" class="{kind}"/>'
