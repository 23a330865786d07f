"""Who pulls features of a corpus that is not free to pass on is asked to show that they hold the same audio.

The card asks for some utterances, drawn by its salt, and holds for each HMAC-SHA-256(salt, SHA-256 of the decoded samples: float32
at 16 kHz, as features are made from). The puller's files are decoded and compared by that digest, so they may be called what they
will and lie where they will. All that are asked for must be there.

This is a courtesy among people who mean well, not encryption: whoever can read the remote can read the features without it.
"""

import hashlib
import hmac
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from emocache import audio, ffmpeg
from emocache.errors import AudioError, CacheError, UsageError
from emocache.store import Features
from emocache.types import SAMPLE_RATE, Corpus

ASKED = 32
"""Utterances that are asked for, where a corpus has so many."""
MOST_ASKED = 1024
"""Most that a card may ask for."""
SLACK = 2
"""Samples by which the length of resampled audio may differ from what its header lets expect."""
TOGETHER = 64
"""Files that are looked at by threads at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One utterance that is asked for: the stretch of its file (None: all of it), samples at 16 kHz (0: not known), salted digest."""

    id: str
    digest: str
    samples: int = 0
    start_s: float | None = None
    end_s: float | None = None
    channel: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """What a card asks for of one corpus: `asked`, drawn by `salt` from `of` utterances."""

    salt: str
    of: int
    asked: tuple[Asked, ...]


def challenge(corpus: Corpus, sets: Iterable[Features], salt: str | None = None) -> Challenge:
    """What to ask for. Digests are those of the prepared corpus, else those that features of its audio were made from.

    UsageError when neither is at hand.
    """
    known = dict(_digests(corpus, sets))
    asked = [one for one in corpus.utterances if one.id in known and not one.parent]
    if not asked:
        raise UsageError(
            f"{corpus.name}: whoever pulls it will be asked for its audio, and nothing here says what that is; "
            "prepare the corpus and give --data, or push features of its audio too"
        )
    salt = salt or secrets.token_hex(16)
    drawn = sorted(asked, key=lambda one: salted(salt, one.id))[:ASKED]
    return Challenge(
        salt=salt,
        of=len(asked),
        asked=tuple(
            Asked(
                id=one.id, digest=salted(salt, known[one.id]), samples=one.samples or 0,
                start_s=one.start_s, end_s=one.end_s, channel=one.channel,
            )
            for one in drawn
        ),
    )  # fmt: skip


def _digests(corpus: Corpus, sets: Iterable[Features]) -> Iterator[tuple[str, str]]:
    """Utterance -> SHA-256 of its samples."""
    for features in sets:
        if features.card.digests == "audio":
            yield from ((name, features.made_from(name)) for name in features.planned_ids)
    yield from ((one.id, one.audio_sha256) for one in corpus.utterances if one.audio_sha256)


def salted(salt: str, digest: str) -> str:
    """HMAC-SHA-256 of a digest (hex), by the salt."""
    return hmac.new(salt.encode(), digest.encode(), hashlib.sha256).hexdigest()


def check(challenge: Challenge, corpus: str, licence: str, root: Path | None) -> None:
    """UsageError without a folder of audio, CacheError that lists what is not in it."""
    what = f"{corpus}: its licence ({licence}) asks whoever pulls features to hold the audio"
    if root is None:
        raise UsageError(f"{what}; give its folder with --audio-root ({len(challenge.asked)} of {challenge.of} utterances are looked for)")
    if not root.is_dir():
        raise UsageError(f"--audio-root {root}: no such folder; give the one that holds the audio of {corpus}")
    if lost := missing(challenge, root):
        listed = ", ".join(lost[:20]) + (f" and {len(lost) - 20} more" if len(lost) > 20 else "")
        raise CacheError(
            f"{what}, and of {len(challenge.asked)} utterances asked for, {len(lost)} are not in {root}: {listed}; "
            f"give the folder of the whole corpus, in the release that the features were made from{_unseen()}"
        )


def _unseen() -> str:
    """What was not looked at."""
    return "" if shutil.which("ffmpeg") else " (clips of video were passed over, since ffmpeg is not on PATH)"


def missing(challenge: Challenge, root: Path) -> list[str]:
    """The ids asked for that no audio below a folder is; files called like one of them are looked at first, video last."""
    asked = {one.id: one for one in challenge.asked}
    files = sorted(_audio_files(root), key=lambda path: (path.stem not in asked, path.suffix.lower() in ffmpeg.SUFFIXES, str(path)))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool, tqdm(total=len(asked), desc="looking for audio", delay=1) as bar:
        waiting = iter(files)
        while asked and (some := list(islice(waiting, TOGETHER))):
            todo = list(asked.values())
            for found in pool.map(lambda path: _held(path, todo, challenge.salt), some):  # noqa: B023 - mapped before it changes
                bar.update(sum(asked.pop(name, None) is not None for name in found))
    return list(asked)


def _held(path: Path, asked: Sequence[Asked], salt: str) -> list[str]:
    """The utterances asked for that a file holds."""
    length = _samples(path)
    cuts: dict[tuple[float | None, float | None, int | None], dict[str, list[str]]] = {}
    for one in asked:
        if _may_hold(length, one):
            cuts.setdefault((one.start_s, one.end_s, one.channel), {}).setdefault(one.digest, []).append(one.id)
    found: list[str] = []
    for (start_s, end_s, channel), by_digest in cuts.items():
        try:
            wave = audio.load(path, start_s=start_s, end_s=end_s, channel=channel)
        except AudioError:  # it is none of those asked for, or cannot be seen to be; those are listed
            continue
        found += by_digest.get(salted(salt, audio.digest(wave)), [])
    return found


def _samples(path: Path) -> float:
    """How many samples at 16 kHz a file claims; 0 where its header does not say."""
    import soundfile

    try:
        about = soundfile.info(path)
    except (soundfile.SoundFileError, OSError):
        return 0
    return float(about.frames) * SAMPLE_RATE / about.samplerate if about.samplerate else 0


def _may_hold(length: float, one: Asked) -> bool:
    """Whether a file of that length may be, or hold, an utterance."""
    if not length:
        return True
    if one.start_s is None and one.end_s is None:
        return not one.samples or abs(length - one.samples) <= SLACK
    return length >= ((one.end_s or one.start_s or 0.0) - audio.END_SLACK_S) * SAMPLE_RATE


def _audio_files(root: Path) -> Iterator[Path]:
    """Every file below a folder that may be audio, links to folders followed once."""
    import soundfile

    suffixes = {f".{name.lower()}" for name in soundfile.available_formats()} | {".opus", ".aif", ".aifc"}
    suffixes |= ffmpeg.SUFFIXES if shutil.which("ffmpeg") else set()
    seen: set[tuple[int, int]] = set()
    for folder, below, names in os.walk(root, followlinks=True):
        about = os.stat(folder)  # noqa: PTH116 - a text, as os.walk gives it
        if (about.st_dev, about.st_ino) in seen:
            below.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        yield from (Path(folder, name) for name in names if Path(name).suffix.lower() in suffixes)
