"""What Table 2 and Figure 3 of MSTR (Li et al., Interspeech 2023) share: the three corpora and the setting of each."""

from collections.abc import Callable
from functools import partial
from typing import Any

from heads.recipes.recipe import Recipe, Row, Source

HUBERT = Source(encoder="hubert-large", level="frames", blocks=24, layer=24, dim=1024)
LITERAL = ("norm=matrix", "mask=false", "normalise=none")
"""As the paper's parameter counts and the code of its group have it: utterances of one length, whose padding attends."""
SETTINGS = {
    "iemocap": ("frames=326", "epochs=150", "lr=0.0001", *LITERAL),
    "meld": ("frames=224", "epochs=150", "lr=5e-06", *LITERAL),
    "crema-d": ("frames=150", "epochs=100", "lr=5e-05", *LITERAL),
}
"""Corpus -> how its rows are trained (Table 1); the numbers of frames are solved from the printed sizes."""
HELD_OUT = "a tenth of what the paper trains on is held out to draw the curves; the paper describes no validation part"
CUT = "features are of the whole utterance, then cut or filled up; the paper may have cut the audio"
DEVIATIONS = {"iemocap": (HELD_OUT, CUT), "meld": (CUT,), "crema-d": (HELD_OUT, CUT)}
"""MELD brings a validation part of its own."""

_table = partial(
    Recipe,
    paper="Multi-Scale Temporal Transformer For Speech Emotion Recognition",
    url="https://arxiv.org/abs/2410.00390",
    seeds=tuple(range(10)),
)
_NOTES = (
    "not printed, and solved from the printed sizes: frames of an utterance, FFN 512, classifier 1024-512-256, LayerNorm over all frames",
    "not printed, and as in the code of the paper's group: norms last, ReLU, dropout 0.1 (classifier 0.5), padding that attends",
    "not printed, and our choice: HuBERT's last layer, the last epoch is tested, no clipping, features not standardised",
    "the paper counts FLOPs with every weight once, not once for each frame: what it gives as 96.25, 93.11 and 86.81 % less than the "
    "baseline on IEMOCAP, MELD and CREMA-D is 11.1, 7.9 and 5.4 % of all multiplications (emocache heads prints both counts)",
    "eq. 6 has p^2 for each frame; windows of p need p for each product, and the printed 33.5 M FLOPs are counted so",
)  # fmt: skip
TABLES: dict[str, Callable[..., Recipe]] = {
    "iemocap": partial(_table, corpus="iemocap", utterances=5531, classes=4, protocol="loso", folds=5, metrics=("wa", "ua"), notes=_NOTES),
    "meld": partial(
        _table, corpus="meld", utterances=13_708, classes=7, protocol="given", folds=1, metrics=("wf1",),
        notes=(*_NOTES, "of MELD the validation part is the corpus's own, and the test part is tested"),
    ),
    "crema-d": partial(
        _table, corpus="crema-d", utterances=7442, classes=6, protocol="random-80-20", folds=1, metrics=("wa", "ua"),
        notes=(*_NOTES, "the fifth of CREMA-D that is tested is drawn by the run's seed; the paper does not say how, and speakers cross"),
    ),
}  # fmt: skip
"""Corpus -> a recipe with what all tables on it share."""


def row(corpus: str, kind: str = "", *more: str, printed: dict[str, float] | None = None) -> Row:
    """A row of a corpus; `more` are settings beside the corpus's own."""
    settings = (*SETTINGS[corpus], *more)
    name = f"{corpus}-{kind}" if kind else corpus
    return Row(name=name, head="mstr", sources=(HUBERT,), printed=printed or {}, settings=settings, deviations=DEVIATIONS[corpus])


def baseline(corpus: str, printed: dict[str, float] | None = None) -> Row:
    """The vanilla transformer."""
    return row(corpus, "baseline", "attention=vanilla", printed=printed)


def table(corpus: str, **more: Any) -> Recipe:
    """A recipe on one of the corpora."""
    return TABLES[corpus](**more)
