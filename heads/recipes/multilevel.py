"""What the tables of multi-level fusion (Zhao et al. 2022, arXiv 2207.04697) share: inputs, corpus, folds, repeats."""

from functools import partial

from heads.recipes.recipe import Recipe, Source

TEXT = Source(encoder="bert-base", level="tokens", blocks=12, dim=768, text=True)
_speech = partial(Source, encoder="wav2vec2-base", blocks=12, dim=768)
LEVELS = {
    "F": _speech(level="frames"),
    "P": _speech(level="phone@wdseg"),
    "S": _speech(level="syllable@wdseg"),
    "W": _speech(level="word@wdseg"),
}
"""The paper's letter of a speech level (frame, phone, syllable, word) -> the input."""

SEGMENTS = (
    "a segment's row is the mean over the frames whose centre it holds; the paper prints a sum over both ends divided by one frame less",
    "rows of segments are standardised with their own statistics; the paper normalises speech once, over frames",
)
"""Deviations of every row that takes segments."""


TRANSFORMERS = (
    "of transformer layers not printed: 12 heads and feed-forward layers of 3072 (as BERT), ReLU, no positions added, norms last",
    "d under the root of attention is the width of a head; the paper prints 'the dimension of the embeddings' for a single head",
    "the two branches of co-attention differ in length: each is averaged over its own time, then the two; stacks are not shared",
)
"""What the paper leaves open of transformer layers, and our choice."""


def sources(levels: str) -> tuple[Source, ...]:
    """Text and the speech levels of a row such as 'F+P'."""
    return (TEXT, *(LEVELS[letter] for letter in levels.split("+")))


def segments(levels: str) -> tuple[str, ...]:
    """The deviations of a row such as 'F+P'."""
    return () if levels == "F" else SEGMENTS


table = partial(
    Recipe,
    paper="Multi-level Fusion of Wav2vec 2.0 and BERT for Multimodal Emotion Recognition",
    url="https://arxiv.org/abs/2207.04697",
    corpus="iemocap",
    utterances=5531,
    protocol="loso",
    folds=5,
    seeds=(0, 1, 2, 3, 4),
    metrics=("ua",),
    system="multilevel",
    notes=(
        "not printed, and as in Pepino's code: hidden sizes 128 and 128, at most 100 epochs, gradients clipped at 1",
        "not printed, and our choice: patience 4, [CLS] and [SEP] kept among the wordpieces, silences left out of segments",
        "whether the paper pools the folds or averages them is not said; ours are pooled",
        *TRANSFORMERS,
    ),
)
"""A recipe with what all tables share."""
