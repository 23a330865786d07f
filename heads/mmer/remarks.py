"""In words, where a configuration of MMER, and what it is given, are not the paper's."""

from collections.abc import Iterator, Sequence

from heads.config import NO_NUMBER, UNPRINTED, Beside, Remarks
from heads.data import Input
from heads.mmer.characters import frames_needed
from heads.mmer.config import Config

PAPER_ENCODERS = ("wav2vec2-base", "roberta-base")
RELEASED = {
    "text_layer": (True, "a self-attention layer over text"),
    "audio_projections": (True, "linear layers on speech before blocks B and D"),
    "projection": ("after", "[R; Q] made narrow after the maxima over time"),
    "order": ("RQ", "R before Q"),
    "contrast": ("classified", "SCL and ACL on what the classifier is given"),
    "scl": ("release", "SCL with i = j included and tau outside the softmax"),
}  # fmt: skip
"""Setting -> its value in the released code, and what that is; the paper has another, or does not say it."""
TRIED = (0, 1, 0.1, 0.01, 0.001)
"""Weights of the auxiliary losses that the paper tried, 0 for its ablations."""
SOURCES = UNPRINTED | {
    "optimiser": "the released code", "weight_decay": "the released code", "dropout": "the released code", "hidden": "the released code",
    "heads": "the released code", "audio_frames": "the released code", "adapter": "our default", "patience": "our default",
    "clip": "the released code", "bank": "the released code", "normalise": "the released code", "tested": "the released code",
}  # fmt: skip
"""Where a default is from that the paper does not print."""


def deviations(config: Config, inputs: Sequence[Input]) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    spoken = not all(one.text for one in inputs)
    frozen = _frozen(config) if spoken else ()
    return [*frozen, *_changed(config), *_released(config), *(text for one in inputs for text in _of_input(config, one))]


def _frozen(config: Config) -> Iterator[str]:
    """What a cache of features cannot do."""
    stands = {"transformer": "a transformer layer", "linear": "a linear layer with LayerNorm"}.get(config.adapter)
    instead = f"{stands} is trained in its place" if stands else "nothing is trained in its place"
    if not stands and config.alpha:
        instead += ", so CTC changes no answer"
    yield f"frozen variant: the paper trains wav2vec 2.0, here it is cached, and {instead}"
    yield f"features are of the whole utterance, then cut after {config.audio_frames} rows; the released code cuts the audio"


def _changed(config: Config) -> Iterator[str]:
    """Settings that are not the default, but for what the paper's rows differ in, and the choices between it and the released code."""
    of_rows = {"network", "adapter"} if config.network == "pooled" else set()
    of_rows |= {name for name in ("alpha", "beta", "gamma") if getattr(config, name) in TRIED}
    for name, value in vars(Config()).items():
        if name not in {*NO_NUMBER, *RELEASED, *of_rows} and getattr(config, name) != value:
            yield f"{name} is {getattr(config, name)}; {SOURCES.get(name, 'the paper')} has {value}"


def _released(config: Config) -> Iterator[str]:
    """What follows the released code and not the paper, in one line."""
    if config.network != "fusion":
        return
    found = [about for name, (value, about) in RELEASED.items() if getattr(config, name) == value]
    found += ["two layers before SCL and ACL"] if config.beta or config.gamma else []
    found += ["an apostrophe among the characters"] if config.alpha else []
    if found:
        yield f"as in the released code and not in the paper: {', '.join(found)}"


def _of_input(config: Config, one: Input) -> Iterator[str]:
    """Of one feature set."""
    if one.encoder not in PAPER_ENCODERS:
        yield f"{one.name}: made by {one.encoder}, which the paper does not use"
    if one.dim != config.width and (config.network == "fusion" or (config.adapter != "none" and not one.text)):
        yield f"{one.name}: {one.dim} wide, projected to {config.width}; the paper projects nothing"
    if one.all_layers and one.layers != one.all_layers[-1:]:
        yield f"{one.name}: layer {one.layers[0]}; the paper takes the last"
    if one.level == "utterance":
        yield f"{one.name}: one row per utterance; the paper has rows in time"


def remarks(config: Config, beside: Beside) -> Remarks:
    """Losses that are off for want of transcripts or views, and how many utterances CTC says nothing of."""
    without, notes = [], []
    if config.alpha:
        empty = sum(not target for target in beside.targets)
        long = _infinite(config, beside)
        notes.append(f"CTC: {empty} of {len(beside.targets)} utterances have no character to learn")
        notes.append(f"CTC: infinite, and counted as 0, for {long} utterances with more characters than rows of speech")
        if empty == len(beside.targets):
            without.append("no transcripts, so CTC is off")
    if config.gamma and not any(beside.viewed):
        without.append("no views of training utterances (emocache augment makes them), so ACL is off")
    elif config.gamma and (lacking := sum(not count for count in beside.viewed)):
        without.append(f"no views in {lacking} of {len(beside.viewed)} trainings, so ACL is off there")
    return Remarks(deviations=tuple(without), notes=(*notes, *without))


def _infinite(config: Config, beside: Beside) -> int:
    """Utterances whose target takes more rows than there are."""
    rows = [min(count, config.audio_frames) for count in beside.rows]
    return sum(frames_needed(target) > count for target, count in zip(beside.targets, rows, strict=True) if target)
