"""README.md of a shared cache, from its card."""

import re
from collections.abc import Iterator, Sequence

from emocache.share.policy import FREE
from emocache.share.sharecard import ShareCard, SharedCorpus, SharedFeatures

HEAD = "---\ntags:\n- emocache\n- speech-emotion-recognition\n---"
"""What the Hugging Face Hub reads of a README; other places show it or pass it over."""
UNITS = ("B", "kB", "MB", "GB", "TB")


def readme(card: ShareCard) -> str:
    """The whole page."""
    parts = [HEAD, "# Speech emotion features", _intro(card), *_table(card.features)]
    parts += [_corpus(one) for one in card.corpora]
    parts += ["## How they were made", *(_made(one) for one in card.features)]
    if card.warnings:
        parts += ["## Mind", "\n".join(f"- {_shown(one)}" for one in card.warnings)]
    if card.cite:
        parts += ["## Cite", "```bibtex\n" + "\n".join(line.replace("`", "'") for line in card.cite) + "\n```"]
    return "\n\n".join(parts) + "\n"


def _intro(card: ShareCard) -> str:
    """What this is, and how to get at it."""
    return (
        f"Features of frozen encoders, cached by emocache {_shown(card.emocache)}. `emocache pull` brings all or a part of them, and "
        "verifies every file; `card.json` says the same as this page, for machines."
    )


def _table(features: Sequence[SharedFeatures]) -> Iterator[str]:
    """The feature sets, one a row."""
    rows = [["features", "encoder", "levels and layers", "utterances", "stored", "computed", "size"], ["---"] * 7]
    for one in features:
        levels = "; ".join(f"{level} {layers}" for level, layers in one.levels.items())
        cells = [f"{one.corpus}/{one.name}", one.encoder, levels, str(one.utterances), one.dtype, one.precision, _size(one.bytes)]
        rows.append([_shown(cell) for cell in cells])
    yield "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _corpus(corpus: SharedCorpus) -> str:
    """What is said of one corpus."""
    facts = {
        "licence": corpus.licence,
        "may be passed on": corpus.share + (f"; passed on since: {corpus.reason}" if corpus.reason else ""),
        "from": corpus.home,
        "cite": corpus.citation,
        "with the features": ", ".join([*corpus.passes, *corpus.columns]) or "nothing",
        "columns left out": ", ".join(corpus.left_columns),
    }
    if corpus.share != FREE and corpus.challenge:
        facts["to pull"] = (
            f"--audio-root FOLDER: {len(corpus.challenge.asked)} of {corpus.challenge.of} utterances are looked for in the puller's "
            "own audio. This is a courtesy, not encryption"
        )
    lines = [f"- {name}: {_shown(value)}" for name, value in facts.items() if value]
    return "\n".join([f"## {_shown(corpus.name)}: {corpus.utterances} utterances", "", *lines])


def _made(one: SharedFeatures) -> str:
    """How one feature set was made."""
    facts = {
        "encoder": f"{one.encoder} from {one.origin} at {one.revision}, licence {one.licence}",
        "weights": one.weights,
        "features": f"of {one.modality}, computed in {one.precision}, stored as {one.dtype}; digest {one.digest}",
        "made with": ", ".join(f"{name} {number}" for name, number in one.made_with.items()),
    }
    lines = [f"- {name}: {_shown(value)}" for name, value in facts.items() if value]
    commands = "".join(f"\n    {one.replace('`', ' ')}" for one in one.commands)
    return "\n".join([f"### {_shown(one.corpus)}/{_shown(one.name)}", "", *lines]) + (f"\n{commands}" if commands else "")


def _shown(text: str) -> str:
    """A text that is text in Markdown and in HTML, whatever stands in it."""
    return re.sub(r"([\\`*_\[\]|<>#!&])", r"\\\1", text).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def _size(amount: float) -> str:
    """Bytes for people."""
    unit = 0
    while amount >= 1000 and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {UNITS[unit]}" if unit else f"{amount:.0f} B"
