"""What rows of EmotionNAS on spectrograms share, and its networks of the search as settings."""

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


SIZES = tuple(supernet(*size) for size in SUPERNETS)
