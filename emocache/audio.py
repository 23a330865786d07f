"""Audio files to 16 kHz mono float32 waveforms, and digests of what was decoded."""

import hashlib
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emocache import ffmpeg, heard
from emocache.errors import AudioError
from emocache.heard import Heard
from emocache.types import SAMPLE_RATE, Utterance

QUALITY = "HQ"
RESAMPLER = f"soxr {QUALITY}"
LONGEST_S = 1e6
"""Nothing lasts eleven days; what claims to has a broken header."""
END_SLACK_S = 0.05
"""A segment may end this much after its file does: segment times are rounded."""
_LFS = b"version https://git-lfs"
_SHORT_WAV = re.compile(r"^data : (?P<said>\d+) \(should be (?P<present>\d+)\)", re.MULTILINE)
"""What libsndfile logs where a WAV file holds fewer bytes than its header says; it decodes the rest without a word."""
_HEADER_SLACK = 128
"""Bytes by which a WAV header may overstate its audio: some writers count the header itself."""
_STREAMED = 0x7FFF0000
"""A WAV header that claims this many bytes was written to a pipe, when the length was not known yet."""


def load(path: Path, *, start_s: float | None = None, end_s: float | None = None, channel: int | None = None) -> NDArray[np.float32]:
    """Decode one stretch of one file: float32 [samples] at 16 kHz, mean of the channels unless one is picked.

    Clips of video and the like go through ffmpeg. Raises AudioError for whatever is not sound: missing, empty, a Git LFS
    pointer, broken, out of range, not finite; UsageError where ffmpeg is needed and not there.
    """
    import soundfile

    _check_file(path)
    try:
        with soundfile.SoundFile(ffmpeg.decode(path) if path.suffix.lower() in ffmpeg.SUFFIXES else path) as file:
            _check_whole(path, file.extra_info)
            first, last = _frames(path, file.frames, file.samplerate, start_s, end_s)
            if channel is not None and not 0 <= channel < file.channels:
                raise AudioError(f"{path}: channel {channel} asked for, but it has {file.channels} (counted from 0)")
            file.seek(first)
            frames = file.read(last - first, dtype="float32", always_2d=True)
            rate = file.samplerate
    except soundfile.SoundFileError as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise AudioError(f"{path}: cannot be decoded ({reason})") from None
    if len(frames) != last - first:
        raise AudioError(f"{path}: broken off after {len(frames)} of {last - first} frames")
    wave = frames[:, channel] if channel is not None else frames.mean(axis=1)
    if not np.isfinite(wave).all():
        raise AudioError(f"{path}: holds samples that are not finite")
    return resample(wave, rate)


def _check_file(path: Path) -> None:
    """Say what is wrong with a file that a decoder would only call an unknown format."""
    if path.suffix.lower() == ".raw":
        raise AudioError(f"{path}: has no header to tell rate and channels; convert it to WAV or FLAC")
    try:
        with path.open("rb") as file:
            head = file.read(len(_LFS))
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened ({error.strerror})") from None
    if not head:
        raise AudioError(f"{path}: is empty (0 bytes)")
    if head == _LFS:
        raise AudioError(f"{path}: is a Git LFS pointer, not audio; run `git lfs pull` in its repository")


def _check_whole(path: Path, log: str) -> None:
    """A WAV file that was cut off decodes to a shorter one, unless its header is held against it."""
    short = _SHORT_WAV.search(log)
    if short is None or int(short["said"]) >= _STREAMED:
        return
    if int(short["said"]) - int(short["present"]) > _HEADER_SLACK:
        raise AudioError(f"{path}: broken off after {short['present']} of {short['said']} bytes of audio; copy it again")


def _frames(path: Path, total: int, rate: int, start_s: float | None, end_s: float | None) -> tuple[int, int]:
    """First and last (exclusive) frame of the stretch asked for."""
    if not total:
        raise AudioError(f"{path}: has a header but no audio")
    if total > LONGEST_S * rate:
        raise AudioError(f"{path}: its header does not say how long it is; convert it once more, to a file and not to a pipe")
    if max(start_s or 0.0, end_s or 0.0) > LONGEST_S:
        raise AudioError(f"{path}: start {start_s} and end {end_s} are in seconds, and no recording lasts that long")
    first = round((start_s or 0.0) * rate)
    last = total if end_s is None else round(end_s * rate)
    if last > total + END_SLACK_S * rate:
        raise AudioError(f"{path}: lasts {total / rate:.2f} s, but the utterance ends at {end_s:.2f} s")
    last = min(last, total)
    if not 0 <= first < last:
        raise AudioError(f"{path}: no audio between {first / rate:.2f} s and {last / rate:.2f} s")
    return first, last


def resample(wave: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """float32 [samples] at `rate` to 16 kHz, contiguous."""
    if rate == SAMPLE_RATE:
        return np.ascontiguousarray(wave)
    import soxr

    return np.ascontiguousarray(soxr.resample(wave, rate, SAMPLE_RATE, quality=QUALITY), dtype=np.float32)


def load_utterance(utterance: Utterance, root: Path) -> NDArray[np.float32]:
    """The waveform of an utterance whose path is relative to `root`; AudioError where its corpus is a copy without audio."""
    if not utterance.path:
        raise AudioError(f"{utterance.id}: is of a copy that came without its audio; prepare the corpus itself")
    return load(root / utterance.path, start_s=utterance.start_s, end_s=utterance.end_s, channel=utterance.channel)


def digest(wave: NDArray[np.float32]) -> str:
    """SHA-256 of a waveform's float32 samples (little-endian)."""
    return hashlib.sha256(wave.astype("<f4", copy=False).tobytes()).hexdigest()


def scan(utterances: Iterable[Utterance], root: Path, memory: Path | None = None) -> tuple[list[Utterance], dict[str, str]]:
    """Decode what changed since the last scan; the utterances with `samples` and `audio_sha256`, and the unreadable.

    `memory` is a CSV file of earlier results (a file of the same size and modification time is not decoded again);
    it is rewritten when anything new was learnt and its folder can be written, and what it says of others stays. The second
    value maps the ids of unreadable utterances to the reason.
    """
    todo = list(utterances)
    known = heard.read(memory)
    fresh: dict[str, Heard] = {}
    unreadable: dict[str, str] = {}

    def look(utterance: Utterance) -> None:
        file, cut = _file(utterance, root), heard.cut(utterance)
        entry = known.get(utterance.id)
        if entry is not None and (entry.file, entry.cut) == (file, cut):
            return
        try:
            wave = load_utterance(utterance, root)
        except AudioError as error:
            unreadable[utterance.id] = str(error)
        else:
            fresh[utterance.id] = Heard(file, cut, len(wave), digest(wave))

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        list(tqdm(pool.map(look, todo), "reading audio", len(todo), unit="utterance", delay=1, leave=False))
    entries = known | fresh
    if fresh and memory is not None:
        heard.write(memory, {name: entry for name, entry in entries.items() if name not in unreadable})
    scanned = [replace(u, samples=entries[u.id].samples, audio_sha256=entries[u.id].sha256) for u in todo if u.id not in unreadable]
    return scanned, {u.id: unreadable[u.id] for u in todo if u.id in unreadable}


def _file(utterance: Utterance, root: Path) -> str:
    """Changes whenever the file changes; '' for one that cannot be seen.

    The path is in it since the files of one archive often share size and time of modification; the time of change and the
    inode, since copying tools set the time of modification.
    """
    path = root / utterance.path
    try:
        stat = path.stat()
    except OSError:
        return ""
    return f"{path.absolute()}/{stat.st_size}/{stat.st_mtime_ns}/{stat.st_ctime_ns}/{stat.st_ino}/{RESAMPLER}"
