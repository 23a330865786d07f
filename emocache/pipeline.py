"""Stage 1 from end to end: a prepared corpus and an encoder in, a filled feature set out.

manifest -> scan (digests, lengths) -> Job (what would be made) -> units -> encode -> pool -> store
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from emocache import audio, encoders, manifest
from emocache.devices import pick_device
from emocache.encoders import Encoder, Source
from emocache.encoding import Loop
from emocache.errors import CacheError, CorpusError, UsageError
from emocache.heard import HEARD
from emocache.levels import Level, Native, kinds_of, levels_of
from emocache.places import free_bytes, plain_name
from emocache.segments import choose
from emocache.store import Cache, Features, parse_layers, text_digest
from emocache.store.card import Card, Key
from emocache.store.layered import Part, check_same, still_to_make
from emocache.store.layout import DTYPES
from emocache.store.plan import Item, unit_rows
from emocache.store.writer import FeatureWriter
from emocache.types import SAMPLE_RATE, Corpus, Utterance

UTTERANCE_LEVEL = "utterance"
RESERVED = (manifest.MANIFEST, manifest.CORPUS)
MADE_WITH = ("emocache", "torch", "transformers", "tokenizers", "speechbrain", "numpy", "soundfile", "soxr")
"""Packages whose versions a card records."""
COPIED = {"audio": "audio", "text": "transcripts"}
"""What an encoder is given, by modality, in the words in which a copy says what it lacks."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One corpus through one encoder: everything that is known before encoding. `below` are caches that are read and not written to.

    `unusable` maps the ids of utterances that cannot be encoded to the reason; `notes` those that will be encoded in
    a way a user should know of.
    """

    corpus: Corpus
    source: Source
    encoder: Encoder
    cache: Path
    below: tuple[Path, ...] = ()
    name: str
    rules: Mapping[str, Level]
    layers: tuple[int, ...]
    dtype: str
    budget: int | None
    utterances: tuple[Utterance, ...]
    unusable: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def hours(self) -> float:
        """Hours of audio, where it is known."""
        return sum(u.samples or 0 for u in self.utterances) / SAMPLE_RATE / 3600

    @cached_property
    def items(self) -> list[Item]:
        """The utterances as the store sees them."""
        return [item_of(u, self.encoder, self.rules) for u in self.utterances]

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that are wanted."""
        return tuple(self.rules)

    @property
    def caches(self) -> Cache:
        """Where features are looked for."""
        return Cache(self.cache, self.below)

    def size(self) -> dict[str, int]:
        """Bytes of each level, over the wanted layers, when all is stored."""
        row = len(self.layers) * DTYPES[self.dtype].itemsize
        return {level: sum(item.rows[level] for item in self.items) * self.rules[level].dim * row for level in self.levels}

    @property
    def card(self) -> Card:
        """Key and description of the feature set."""
        encoder, source = self.encoder, self.source
        return Card(
            key=key_of(encoder, self.dtype),
            encoder=source.name,
            model=source.asked,
            origin=source.origin,
            revision=source.revision,
            encoder_licence=source.spec.licence if source.spec else "see its source",
            corpus=self.corpus.name,
            corpus_licence=self.corpus.licence,
            corpus_share=self.corpus.share,
            modality=encoder.modality,
            digests=encoder.modality,
            native=encoder.native,
            hop=encoder.hop,
            centre=encoder.centre,
            layers=encoder.layers,
            levels={name: rule.about for name, rule in kinds_of(encoder).items()},
            dims={name: rule.dim for name, rule in kinds_of(encoder).items()},
            unit_rows=unit_rows(sum(item.rows[encoder.native] for item in self.items)),
            made_with={name: version(name) for name in MADE_WITH} | {"python": platform.python_version()},
        )


def key_of(encoder: Encoder, dtype: str) -> Key:
    """What decides the numbers of an encoder's features that are stored as `dtype`."""
    resampled = f", resampled by {audio.RESAMPLER}" if encoder.modality == "audio" else ""
    return Key(
        weights=encoder.weights,
        configuration=encoder.configuration,
        preprocessing=encoder.preprocessing + resampled,
        layer_rule=encoders.LAYER_RULE,
        precision=encoder.precision,
        dtype=dtype,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an extraction did: utterances encoded now, those that have no features, with the reason, and what did not go as planned."""

    encoded: int
    failures: Mapping[str, str]
    features: Features
    notes: tuple[str, ...] = ()


def prepare_job(
    corpus: Corpus, data: Path, model: str, *, cache: Path, below: Sequence[Path] = (), name: str | None = None,
    layers: str = "all", levels: Sequence[str] = (),
    dtype: str = "fp16", precision: str = "fp32", device: str | None = None, batch: float | None = None,
    window_s: float | None = None,
) -> Job:  # fmt: skip
    """Load the encoder, look at every utterance, and work out what would be made. Nothing is written to the cache.

    What caches `below` hold is not made again.
    """
    if dtype not in DTYPES or precision not in encoders.PRECISIONS:
        raise UsageError(
            f"--dtype is one of {', '.join(DTYPES)}, --precision one of {', '.join(encoders.PRECISIONS)}; got {dtype}, {precision}"
        )
    if name is not None:
        plain_name(name, "--name")
    if name in RESERVED:
        raise UsageError(f"--name {name}: is the name of a file beside the features; choose another")
    source = encoders.find(model)
    called = name or plain_name(source.name, "give --name, since")
    encoder = encoders.load(source, pick_device(device), precision, window_s=window_s)
    if precision == "tf32" and encoder.device.type != "cuda":
        raise UsageError("--precision tf32 is a way of GPUs to compute; on a CPU use fp32")
    rules = choose(encoder, levels or (encoder.native,), data, corpus.name)
    chosen_layers = parse_layers(layers, encoder.layers)
    usable, unusable, notes = _look(corpus, data, encoder)
    if not usable:
        first = next(iter(unusable.items()))
        raise CorpusError(f"{corpus.name}: none of its {len(unusable)} utterances can be encoded; first {first[0]}: {first[1]}")
    return Job(
        corpus=corpus, source=source, encoder=encoder, cache=cache, below=tuple(below), name=called,
     dtype=dtype, budget=_budget(encoder, batch),
        rules=rules,
        layers=chosen_layers,
        utterances=tuple(usable), unusable=unusable, notes=notes,
    )  # fmt: skip


def _budget(encoder: Encoder, batch: float | None) -> int | None:
    """--batch in samples (or tokens)."""
    if batch is None:
        return None
    if not 0 < batch < 1e6:
        raise UsageError(f"--batch {batch:g}: expected seconds of audio (or tokens) of a forward pass, more than 0")
    return max(1, round(batch * SAMPLE_RATE if encoder.modality == "audio" else batch))


def check_room(job: Job, max_gb: float | None) -> None:
    """CacheError when what is still to be made does not fit the disk or `max_gb`, naming what would fit."""
    if max_gb is not None and not max_gb > 0:
        raise UsageError(f"--max-gb {max_gb:g}: expected more than 0")
    free = free_bytes(job.cache)
    limit = free if max_gb is None else min(free, max_gb * 1e9)
    needed = missing_bytes(job)
    if needed <= limit:
        return
    what = f"the {free / 1e9:.3g} GB free at {job.cache}" if limit == free else f"--max-gb {max_gb:g}"
    fitting = [option for option, size in _smaller(job) if size <= limit]
    remedy = f"this would fit: {' or '.join(fitting)}" if fitting else "nothing smaller would fit either: free some space"
    raise CacheError(f"{needed / 1e9:.3g} GB would not fit {what}; {remedy}; or give another --cache")


def missing_bytes(job: Job) -> int:
    """Bytes that this extraction would add: what is committed already counts no more."""
    try:
        features = job.caches.features(job.corpus.name, job.name)
    except CacheError:
        return sum(job.size().values())
    row = DTYPES[job.dtype].itemsize
    total = 0
    for level in job.levels:
        for layer in job.layers:
            held = set(features.held(level, [layer]))
            total += sum(item.rows[level] for item in job.items if item.id not in held) * job.rules[level].dim * row
    return total


def _smaller(job: Job) -> list[tuple[str, int]]:
    """Options that would store less, with their bytes."""
    deep = job.encoder.layers[-1]
    some = sorted({deep // 2, 3 * deep // 4, deep})
    utterance = {name: rule for name, rule in levels_of(job.encoder).items() if name == UTTERANCE_LEVEL}
    choices: list[tuple[Mapping[str, Level], Sequence[int]]] = [(job.rules, some), (job.rules, [deep])]
    choices += [(utterance, job.encoder.layers), (utterance, [deep])]
    options = []
    for rules, layers in choices:
        one = replace(job, rules=rules, layers=tuple(layers))
        size = sum(one.size().values())
        text = f"--layers {','.join(map(str, layers))}" + ("" if rules == job.rules else f" --levels {','.join(rules)}")
        options += [(text, size)] if size < sum(job.size().values()) else []
    return options


def extract(job: Job, *, retry: bool = False) -> Outcome:
    """Encode what is not in the cache yet, or in those below it, and commit it unit by unit; an interrupted run goes on where it stopped.

    With `retry`, utterances that failed before are tried again. Where other caches hold all, nothing is written to this one.
    """
    by_id = {u.id: u for u in job.utterances}
    loop = Loop(job.encoder, job.rules, job.corpus.audio_root, job.dtype, job.budget)
    done: set[str] = set()
    if todo := _todo(job):
        with FeatureWriter(job.cache, job.corpus.name, job.name, job.card, on_wait=partial(tqdm.write, file=sys.stderr)) as writer:
            planned = [writer.plan(items, arrays, retry=retry) for items, arrays in todo]
            manifest.save(replace(job.corpus, audio_root=Path()), job.cache)
            with _progress(job, [by_id[name] for work in planned for item in work for name in item.ids]) as bar:
                for work in planned:
                    done |= {name for item in work for name in item.ids}
                    for utterance in loop.run(writer, work, by_id):
                        bar.update(_weight(utterance, job.encoder))
    features = job.caches.features(job.corpus.name, job.name)
    failed = {name: reason for name, reason in features.failures.items() if name in by_id}
    return Outcome(len(done - set(failed)), {**job.unusable, **failed}, features, tuple(loop.notes))


def _todo(job: Job) -> list[Part]:
    """What other caches do not hold; KeyMismatch where they hold other features under this name."""
    below = job.caches.beneath(job.corpus.name, job.name)
    if below is not None:
        check_same(below, job.card)
    return still_to_make(
        job.items, dict.fromkeys(job.levels, job.layers), job.caches.own(job.corpus.name, job.name) if below else None, below
    )


def _look(corpus: Corpus, data: Path, encoder: Encoder) -> tuple[list[Utterance], dict[str, str], dict[str, str]]:
    """The utterances that can be encoded, those that cannot, and notes on some."""
    if encoder.modality in COPIED and (lacks := COPIED[encoder.modality]) in corpus.lacks:
        raise CorpusError(
            f"{corpus.name}: is a copy that came without its {lacks}, so what is there can be trained on and nothing more can be encoded; "
            "run `emocache prepare` on the corpus itself"
        )
    utterances: list[Utterance] = list(corpus.utterances)
    unusable: dict[str, str] = {}
    if encoder.modality == "audio":
        utterances, unusable = audio.scan(utterances, corpus.audio_root, data / corpus.name / HEARD)
    elif not any(u.transcript for u in utterances):
        raise CorpusError(f"{corpus.name}: has no transcripts, and a text encoder needs them; add a column `transcript` to its manifest")
    short = {u.id: f"too short for one row ({(u.samples or 0) / SAMPLE_RATE:.4f} s)" for u in utterances if encoder.rows(u) == 0}
    notes = {u.id: note for u in utterances if (note := encoder.note(u)) is not None}
    return [u for u in utterances if u.id not in short], unusable | short, notes


def item_of(utterance: Utterance, native: Native, rules: Mapping[str, Level]) -> Item:
    """An utterance as the store sees it, in the encoder's own level and in those that are asked for."""
    wanted = {native.native: levels_of(native)[native.native]} | dict(rules)
    digest = utterance.audio_sha256 if native.modality == "audio" else text_digest(utterance)
    group = utterance.session or utterance.fold or utterance.split or ""
    rows = {name: rule.rows(utterance) for name, rule in wanted.items()}
    columns = {name: rule.columns(utterance) for name, rule in wanted.items()}
    made_from = {name: rule.made_from(utterance) for name, rule in wanted.items() if rule.made_from}
    return Item(utterance.id, str(digest), group, rows, columns, native.size(utterance), made_from)


def _weight(utterance: Utterance, encoder: Encoder) -> int:
    """What an utterance counts in the progress bar: samples of audio, or one text."""
    return (utterance.samples or 0) if encoder.modality == "audio" else 1


def _progress(job: Job, todo: Sequence[Utterance]) -> "tqdm[Any]":
    """A bar on stderr in seconds of audio (or texts), shown once a run takes longer than a second."""
    unit, scale = ("s of audio", 1 / SAMPLE_RATE) if job.encoder.modality == "audio" else ("texts", 1.0)
    total = sum(_weight(u, job.encoder) for u in todo)
    shape = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} {unit} [{elapsed}<{remaining}, {rate_fmt}]"
    return tqdm(total=total, desc=f"{job.corpus.name}/{job.name}", unit=unit, unit_scale=scale, delay=1, bar_format=shape)
