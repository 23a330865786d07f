"""What commands say to people: sizes, tables, and what an extraction is about to do."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emocache import languages, layers, views
from emocache.places import free_bytes

if TYPE_CHECKING:
    from emocache.alignment import Alignment
    from emocache.pipeline import Job
    from emocache.store import Features
    from emocache.types import Corpus

MUCH_BYTES = 10_000_000_000
"""From here on, a cache inside a home folder is worth a warning: such folders tend to have quotas."""


def announcement(job: "Job") -> list[str]:
    """What an extraction is about to do, before it does it."""
    encoder, sizes, numbers = job.encoder, job.size(), layers.ranges(job.layers)
    heard = f"{job.hours:.2f} h of audio" if encoder.modality == "audio" else "as text"
    lines = [
        f"corpus   {job.corpus.name}: {len(job.utterances)} utterances, {heard}",
        *(f"views    {line}" for line in views.told(job.utterances)),
        f"encoder  {job.source.name} from {job.source.origin} at {job.source.revision}, {encoder.precision} on {encoder.device}",
        f"stored   {', '.join(f'{level} {size(amount)}' for level, amount in sizes.items())} as {job.dtype}, layers {numbers}",
        f"cache    {job.cache} (free: {size(free_bytes(job.cache))})",
        *(f"reads    {root}, where nothing is written" for root in job.below),
    ]
    if encoder.device.type == "cuda" and encoder.precision == "fp32" and not job.source.computed:
        lines.append("hint     --precision bf16 computes faster and less exactly, as another feature set")
    if sum(sizes.values()) > MUCH_BYTES and Path.home() in job.cache.absolute().parents:
        lines.append("warning  this cache lies in a home folder, where a quota may apply; --cache or $EMOCACHE_HOME moves it")
    lines += [f"warning  {warning}" for warning in warnings(job)]
    lines += [f"note     {note}" for note in noted(job.notes)]
    return lines


def warnings(job: "Job") -> list[str]:
    """What is unlikely to be meant, and is done all the same."""
    spec = job.source.spec
    strange = languages.strangers((u.language for u in job.utterances), spec.languages) if spec else {}
    if spec is None or not strange:
        return []
    spoken = ", ".join(f"{language} {count}" for language, count in strange.items())
    return [f"the corpus speaks {spoken} (utterances by language); {job.source.name} was trained on {languages.named(spec.languages)}"]


def noted(notes: Mapping[str, str]) -> list[str]:
    """Notes on utterances, those of one kind (alike but for numbers) in one line."""
    kinds: dict[str, list[str]] = {}
    for name, note in notes.items():
        kinds.setdefault(re.sub(r"\d+", "0", note), []).append(name)
    lines = [f"{len(names)} utterances, first {names[0]}: {notes[names[0]]}" for names in kinds.values()]
    return [f"{line} (--json lists all)" for line in lines]


def fallbacks(features: "Features", levels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Of each level of segments among `levels`: segments, those with the nearest frame, utterances, those in one piece."""
    from emocache.store import fallbacks as counted

    named = [level for level in levels if "@" in level]
    return {level: asdict(counted(features, level, features.held(level, features.layers_of(level)[:1]))) for level in named}


def fallback_lines(counted: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The same for people."""
    from emocache.store import Fallbacks

    found = {level: Fallbacks(**numbers) for level, numbers in counted.items()}
    return [f"{level}: {one}{' (many)' if one.many else ''}" for level, one in found.items()]


def aligned(alignment: "Alignment", total: int) -> list[str]:
    """An alignment of a corpus of `total` utterances: segments by level, then who has none and what was mended."""
    counts = [f"{count} {level}s in {len(alignment.segments[level])} utterances" for level, count in segments(alignment).items()]
    bare = f"{len(alignment.without)} of {total} utterances have none"
    lines = [f"alignment {alignment.source}: {', '.join(counts) or 'no segments'}; {bare}"]
    lines += [f"  without: {line}" for line in noted(alignment.without)]
    return lines + [f"  note: {line}" for line in noted(alignment.notes)]


def segments(alignment: "Alignment") -> dict[str, int]:
    """Segments by level."""
    return {level: sum(map(len, alignment.segments[level].values())) for level in alignment.levels}


def summary(features: "Features") -> dict[str, Any]:
    """One feature set as a row."""
    return {
        "features": f"{features.corpus}/{features.name}",
        "utterances": len(features.ids),
        "planned": features.planned,
        "levels": list(features.levels),
        "layers": layers.ranges(features.layers),
        "dtype": features.card.key.dtype,
        "precision": features.card.key.precision,
        "bytes": sum(path.stat().st_size for place in features.places for path in (place / "features.zarr").rglob("*") if path.is_file()),
        "places": [str(place) for place in features.places],
        "lacks": features.lacks,
    }


def places(features: "Features") -> str:
    """The folders that a feature set lies in."""
    return ", ".join(map(str, features.places))


def features_table(rows: Sequence[Mapping[str, Any]], *, lies_in: bool = False) -> str:
    """Summaries of feature sets, one a line; with `lies_in`, the caches that each lies in."""
    header = ["features", "utterances", "levels", "layers", "stored", "computed", "size", *(["lies in"] if lies_in else [])]
    cells = [
        [
            row["features"],
            f"{row['utterances']}/{row['planned']}",
            ",".join(row["levels"]),
            row["layers"],
            row["dtype"],
            row["precision"],
            size(row["bytes"]),
            *([", ".join(str(Path(place).parents[1]) for place in row["places"])] if lies_in else []),
        ]
        for row in rows
    ]
    return table(header, cells)


def counts(corpus: "Corpus") -> dict[str, int]:
    """Utterances per class, by name."""
    return dict(sorted(Counter(utterance.emotion or "(no label)" for utterance in corpus.utterances).items()))


def size(amount: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.2f} TB"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [header, *rows]]
    return "\n".join(lines)
