"""How fairseq and its descendants write a stack of convolutions in their settings: '[(512, 10, 5)] + [(512, 4, 2)] * 3'."""

import ast

from emocache.errors import EncoderError

Layers = tuple[tuple[int, int, int], ...]
"""Of each convolution: channels, kernel, stride."""


def convolutions(text: str, where: str) -> Layers:
    """What the text stands for; nothing is evaluated.

    >>> convolutions("[(512, 10, 5)] + [(512, 4, 2)] * 2", "here")
    ((512, 10, 5), (512, 4, 2), (512, 4, 2))
    """

    def value(node: ast.expr) -> list[tuple[int, int, int]]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return value(node.left) * min(int(ast.literal_eval(node.right)), 100)
        return [(int(channels), int(kernel), int(stride)) for channels, kernel, stride in ast.literal_eval(node)]

    try:
        return tuple(value(ast.parse(str(text).strip(), mode="eval").body))
    except (SyntaxError, ValueError, TypeError) as error:
        raise EncoderError(f"{where} is {text!r}; expected a list of (channels, kernel, stride)") from error
