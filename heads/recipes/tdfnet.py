"""What the tables and figures of TDFNet (Zhao et al. 2023) share: inputs, corpus, protocols, and the rows of the ablations."""

from functools import partial

from heads.recipes.recipe import Recipe, Row, Source

SPEECH = Source(encoder="hubert-large", level="frames", blocks=1, layer=24, dim=1024)
SPECTROGRAM = Source(encoder="log-mel", level="frames", blocks=1, layer=0, dim=80)
TEXT = Source(encoder="bert-base", level="tokens", blocks=1, layer=12, dim=768, text=True)
SPEAKER = Source(encoder="ecapa", level="utterance", blocks=1, layer=0, dim=192)
FOLDS = {"loso": 5, "lopo": 10, "ra": 10}
"""How many folds each protocol gives on IEMOCAP."""
STANDARDISED = "spectrogram and speaker embedding are standardised with the statistics of the training folds; the paper does not say"
SHORTER = "512 rows of the spectrogram are 5.1 s, those of HuBERT 10.2 s; the paper gives no sizes"
NO_SPEAKER = "the speaker embedding is left out with the mutual transformer, through which alone it comes in; the paper does not say"

ABLATIONS = {
    "audio-path": ((SPEECH,), ("path=audio",), (NO_SPEAKER,)),
    "text-path": ((TEXT,), ("path=text",), (NO_SPEAKER,)),
    "without-DST": ((SPEECH, TEXT, SPEAKER), ("dst=false",), ()),
    "without-MT": ((SPEECH, TEXT), ("mt=false",), (NO_SPEAKER,)),
    "without-ME": ((SPECTROGRAM, TEXT, SPEAKER), ("me=false", "normalise=speech"), (STANDARDISED, SHORTER)),
    "TDFNet": ((SPEECH, TEXT, SPEAKER), (), ()),
}
"""Row of Table V -> inputs, settings, deviations."""


def row(ablation: str, protocol: str, *, name: str | None = None, printed: tuple[float, float] | None = None) -> Row:
    """A row by its ablation, with the printed WA and UA."""
    sources, settings, deviations = ABLATIONS[ablation]
    return Row(
        name=name or ablation,
        head="tdfnet",
        sources=sources,
        printed=dict(zip(("wa", "ua"), printed, strict=True)) if printed else {},
        settings=settings,
        deviations=deviations,
        protocol=protocol,
        folds=FOLDS[protocol],
        setting="paper" if ablation == "TDFNet" else ablation,
    )


def by_fold(values: dict[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    """Printed WA and UA of folds, by our name of the fold."""
    return {name: {"wa": wa, "ua": ua} for name, (wa, ua) in values.items()}


SIZES = (
    Row(
        name="block-gate", head="tdfnet", sources=ABLATIONS["TDFNet"][0], printed={}, settings=("gate=block",), setting="block-gate",
    ),
)  # fmt: skip
"""The smaller gate, which no table has."""

recipe = partial(
    Recipe,
    paper="TDFNet: Transformer-Based Deep-Scale Fusion Network for Multimodal Emotion Recognition",
    url="https://doi.org/10.1109/TASLP.2023.3316458",
    corpus="iemocap",
    utterances=5531,
    protocol="loso",
    folds=FOLDS["loso"],
    seeds=(0,),
    system="tdfnet",
    over_folds=True,
    notes=(
        "not printed, and our choice: validation on a tenth of the training folds by seed, dropout 0.1, AdamW's weight decay, no clipping,"
        " the last layer of each encoder, features as they are, masks instead of zeros behind an end",
        "not printed, and as the printed sizes want it: a linear layer from 1024 to 768 for speech, convolutions over 8 rows of speech"
        " and 2 of text, GRUs of 384 and 192 in the second block, maxima beside the averages of U",
        "a layer has two feed-forward matrices with 4096 between them, as the set-up has it; eq. 5 and 7 print one of d x d",
        "the printed size of O is reached with A' and T' averaged and all else averaged and maximised; the gate is elementwise,"
        " since the scalar of eq. 11 would tell no classes apart",
        "the paper's numbers are means of folds, and most of its LOSO and LOPO folds are no share of the usual 5531 utterances",
    ),
)
"""A recipe with what all of them share."""
