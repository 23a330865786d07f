"""The demo corpus on disk, in the layout of IEMOCAP, so that the reader of that corpus reads it as it is.

    ROOT/Session1/dialog/EmoEvaluation/<dialogue>.txt         labels, votes and ratings of every turn
    ROOT/Session1/dialog/EmoEvaluation/Categorical/...        one evaluator's votes again, which are not labels
    ROOT/Session1/dialog/transcriptions/<dialogue>.txt        what is said
    ROOT/Session1/sentences/wav/<dialogue>/<utterance>.wav    the turns, 16 kHz, mono, 16 bit
    ROOT/Session1/sentences/ForcedAlignment/<dialogue>/...    their .wdseg, .phseg and .syseg: when what was spoken
    ROOT/INFO.json                                            title, licence and expected counts, written last

The reader takes INFO.json in place of what it knows of IEMOCAP itself.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emocache import labels
from emocache.demo import aligned, espeak
from emocache.demo.plan import Dialogue, Turn, chance, dialogues
from emocache.demo.script import RATINGS, SESSIONS, SOUNDS_LIKE, Rating
from emocache.errors import UsageError
from emocache.types import SAMPLE_RATE, Utterance

INFO = "INFO.json"
_TITLE = "emocache demo corpus: ten synthetic voices in a miniature of IEMOCAP's layout"
_HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"
_SCHEMES = ("iemocap-4", "iemocap-improvised", "as-is")
_KINDS = {"impro": "improvised", "script": "scripted"}
UNALIGNED = "Ses01F_impro05a_M002"
"""A turn that, as two of IEMOCAP's, has no alignment."""
EDITION = 2
"""Counts on whenever the same turns give other files, so that an older corpus is not taken for this one."""
_EVALUATORS = ("E2", "E3", "E4")


def write(root: Path, *, sessions: Sequence[int] = SESSIONS) -> None:
    """Speak the corpus and write it to `root`; nothing is done when it is there already.

    The tree is made beside `root` and moved there when it is whole. The same sessions give the same bytes. Raises
    UsageError when `root` holds anything else, and when espeak-ng is not installed.
    """
    planned = [dialogue for session in sessions for dialogue in dialogues(session)]
    about = json.dumps(info(planned), indent=2) + "\n"
    if _is_written(root, about):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as made:
        tree = Path(made) / root.name
        total = sum(len(dialogue.turns) for dialogue in planned)
        with tqdm(total=total, desc="speaking the demo corpus", unit="utterance", delay=1) as progress:
            for dialogue in planned:
                _write_dialogue(tree / f"Session{dialogue.session}", dialogue, progress.update)
        (tree / INFO).write_text(about, encoding="utf-8", newline="\n")
        if root.is_dir():
            root.rmdir()
        tree.replace(root)


def _is_written(root: Path, about: str) -> bool:
    """Whether `root` holds this corpus; anything else that is there is not ours to write over."""
    if (root / INFO).is_file() and (root / INFO).read_text(encoding="utf-8") == about:
        return True
    if (root / INFO).is_file() and _TITLE in (root / INFO).read_text(encoding="utf-8"):
        raise UsageError(f"{root}: holds the demo corpus of another release, or other sessions of it; remove it or give another folder")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root}: holds something else than this demo corpus; remove it or give another folder")
    return False


def info(planned: Sequence[Dialogue]) -> dict[str, object]:
    """What INFO.json says: title, licence, share, citation, language, alignment (how it was made), edition, and `expected`:
    scheme -> class -> utterances.
    """
    utterances = [
        Utterance(id=turn.id, path="", emotion=turn.emotion, extra={"kind": _KINDS[dialogue.kind]})
        for dialogue in planned
        for turn in dialogue.turns
    ]
    return {
        "title": _TITLE,
        "licence": "Apache-2.0",
        "share": "free",
        "citation": "Synthesised with espeak-ng by emocache; no recording of a person is part of it.",
        "language": "en",
        "alignment": "the times at which espeak-ng spoke, in frames of 10 ms, from SFrm/100 to (EFrm + 1)/100 s; nothing was aligned",
        "edition": EDITION,
        "expected": {name: _counts(labels.apply(name, utterances)[0]) for name in _SCHEMES},
    }


def _counts(utterances: Sequence[Utterance]) -> dict[str, int]:
    """Utterances per class."""
    return dict(sorted(Counter(str(utterance.emotion) for utterance in utterances).items()))


def _write_dialogue(session: Path, dialogue: Dialogue, count: Callable[[], object]) -> None:
    """One dialogue: its audio, then the files that tell of it; `count` is called after each turn."""
    start_s = 1 + chance(dialogue.id, "start").random()
    times = []
    for turn in dialogue.turns:
        end_s = start_s + _write_turn(session / "sentences", dialogue.id, turn) / SAMPLE_RATE
        times.append((start_s, end_s))
        start_s = end_s + chance(turn.id, "gap").uniform(0.2, 1.5)
        count()
    evaluation, transcript = [_HEADER], []
    for turn, (begin_s, end_s) in zip(dialogue.turns, times, strict=True):
        evaluation.append(_evaluation(turn, begin_s, end_s))
        transcript.append(f"{turn.id} [{begin_s:08.4f}-{end_s:08.4f}]: {turn.text}\n")
    _write_text(session / "dialog" / "EmoEvaluation" / f"{dialogue.id}.txt", "\n".join(evaluation) + "\n")
    _write_text(session / "dialog" / "transcriptions" / f"{dialogue.id}.txt", "".join(transcript))
    votes = "".join(f"{turn.id} :{_votes(turn)[0]}; ()\n" for turn in dialogue.turns)
    _write_text(session / "dialog" / "EmoEvaluation" / "Categorical" / f"{dialogue.id}_e2_cat.txt", votes)


def _write_text(path: Path, text: str) -> None:
    """Write a text file, with the line ends of the corpus on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_turn(sentences: Path, dialogue: str, turn: Turn) -> int:
    """Speak a turn: its audio, and when what was spoken; the number of samples."""
    import soundfile

    speech = espeak.speak(turn.text, turn.voice, turn.prosody)
    samples = _resample(speech.samples)
    wav = sentences / "wav" / dialogue / f"{turn.id}.wav"
    wav.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(wav, samples, SAMPLE_RATE, subtype="PCM_16")
    if turn.id != UNALIGNED:
        for suffix, text in aligned.files(speech).items():
            _write_text(sentences / "ForcedAlignment" / dialogue / f"{turn.id}{suffix}", text)
    return len(samples)


def _resample(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """From espeak-ng's rate to 16 kHz."""
    import soxr

    wave: NDArray[np.float32] = soxr.resample(samples.astype(np.float32), espeak.SPOKEN_RATE, SAMPLE_RATE, quality="HQ")
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(wave), limits.min, limits.max).astype(np.int16)


def _evaluation(turn: Turn, start_s: float, end_s: float) -> str:
    """A turn's block: the label line with the mean ratings, the evaluators' lines, the speaker's own."""
    ratings = [_rating(turn, who) for who in _EVALUATORS[:2]]
    means = ", ".join(f"{sum(values) / len(values):.4f}" for values in zip(*ratings, strict=True))
    own = f"{turn.gender}1"
    lines = [f"[{start_s:.4f} - {end_s:.4f}]\t{turn.id}\t{turn.emotion}\t[{means}]"]
    lines += [f"C-{who}:\t{vote};\t()" for who, vote in zip(_EVALUATORS, _votes(turn), strict=True)]
    lines += [f"C-{own}:\t{RATINGS[turn.emotion].name};\t()"]
    lines += [_rating_line(who, values) for who, values in zip(_EVALUATORS, ratings, strict=False)]
    lines += [_rating_line(own, _rating(turn, own))]
    return "\n".join(lines) + "\n"


def _votes(turn: Turn) -> list[str]:
    """What each evaluator heard: all of them, or two of three, agree; none do where the label is xxx."""
    random = chance(turn.id, "votes")
    if turn.emotion == "xxx":
        return [RATINGS[emotion].name for emotion in random.sample(["ang", "hap", "sad", "neu", "fru"], 3)]
    votes = [RATINGS[turn.emotion].name] * 3
    if random.random() < 0.4:
        votes[random.randrange(3)] = RATINGS[random.choice(SOUNDS_LIKE.get(turn.emotion, ("neu",)))].name
    return votes


def _rating(turn: Turn, who: str) -> tuple[int, int, int]:
    """One evaluator's valence, activation and dominance, each 1 to 5."""
    random = chance(turn.id, "ratings", who)
    mean: Rating = RATINGS[turn.emotion]
    valence, activation, dominance = (
        min(max(round(random.gauss(value, 0.6)), 1), 5) for value in (mean.valence, mean.activation, mean.dominance)
    )
    return valence, activation, dominance


def _rating_line(who: str, rating: tuple[int, int, int]) -> str:
    """One evaluator's ratings as IEMOCAP writes them."""
    valence, activation, dominance = rating
    return f"A-{who}:\tval {valence}; act {activation}; dom  {dominance};\t()"
