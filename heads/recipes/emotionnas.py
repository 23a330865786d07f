"""What rows of EmotionNAS share: its networks of the search, the derived ones, the recurrent branch and the fusion."""

import json

from heads.recipes.recipe import Row, Source

SPECTROGRAM = Source(encoder="spectrogram-140", level="frames", blocks=1, dim=140, layer=0)
SUPERNETS = {(3, 4): 58.7, (3, 6): 63.5, (4, 8): 62.3, (8, 16): 62.1}
"""Cells and channels -> UA of table 3."""
MISMATCH = "supernet-8-16: 1,928,212 parameters where the paper prints 1.32 M, which is what 6 cells of 16 channels have (1,320,084)"


def supernet(layers: int, channels: int) -> Row:
    """The network of the search of this size."""
    name = f"supernet-{layers}-{channels}"
    return Row(
        name=name,
        head="supernet",
        sources=(SPECTROGRAM,),
        printed={"ua": SUPERNETS[layers, channels]},
        settings=(f"layers={layers}", f"channels={channels}"),
        deviations=(MISMATCH,) if (layers, channels) == (8, 16) else (),
        setting=name,
    )


WAV2VEC = Source(encoder="wav2vec1-large", level="frames", blocks=1, dim=512, layer=1)
RECURRENT = {(1, 128): 69.4, (2, 256): 70.3}
"""Layers and widths -> UA of table 4."""
RECIPE = {
    "node_0": {"op": "linear", "input": ["x", "h_prev_0", "h_prev_1"]},
    "node_1": {"op": "activation_tanh", "input": ["node_0"]},
    "node_2": {"op": "linear", "input": ["h_prev_0", "node_1"]},
    "h_new_0": {"op": "activation_sigm", "input": ["node_2"]},
    "h_new_1": {"op": "linear", "input": ["h_new_0", "node_1"]},
}
"""Stands for a cell of the family that is searched, whose sizes are the same: 1 matrix on the frame, 6 others, 3 linear nodes."""
SKIPS = [["skip_connect", 0], ["skip_connect", 1]] * 4
GENOTYPE = {"normal": SKIPS, "normal_concat": [2, 3, 4, 5], "reduce": SKIPS, "reduce_concat": [2, 3, 4, 5]}
"""Stands for what the search finds."""
EITHER = "the paper's parameter count is that of the network of the search; whether its UA is of that or of the derived network is not said"


def _cell(kind: str, cell: object) -> str:
    """A setting of the head `cell`."""
    return "genotype=" + json.dumps({"format": 1, "kind": kind, "cell": cell}, separators=(",", ":"))


def derived(layers: int, channels: int) -> Row:
    """The network of the cell that a search with this size finds, trained from the start."""
    return Row(
        name=f"derived-{layers}-{channels}",
        head="cell",
        sources=(SPECTROGRAM,),
        printed={"ua": SUPERNETS[layers, channels]},
        settings=(_cell("convolutional", GENOTYPE), f"layers={layers}", f"width={channels}"),
        search="spectrogram",
        deviations=("derived and trained again; " + EITHER,),
    )


def recurrent(layers: int, width: int) -> Row:
    """The recurrent branch with the best of the cells that are drawn."""
    name = f"rnn-{layers}-{width}"
    return Row(
        name=name,
        head="cell",
        sources=(WAV2VEC,),
        printed={"ua": RECURRENT[layers, width]},
        settings=(_cell("recurrent", RECIPE), f"layers={layers}", f"width={width}"),
        search="recurrent",
        setting=name,
    )


def fused(name: str, first: Row, second: Row) -> Row:
    """Both branches and their fusion."""
    sources = (*first.sources, *second.sources)
    return Row(name=name, head="emotionnas", sources=sources, printed={"ua": 72.8}, combines=(first.name, second.name))
