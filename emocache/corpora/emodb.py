"""EmoDB (Berlin): ten actors say ten German sentences in seven emotions; everything stands in the file name.

    ROOT/wav/03a01Fa.wav    speaker 03, text a01, emotion F (Freude, happiness), version a; also .flac
    ROOT/silb, labsilb, lablaut    labels made by hand, where they are there

The letters are those of German words: A is Angst (fear), W is Wut (anger).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from emocache.alignment import Alignment
from emocache.alignments.emodb import emodb_alignment
from emocache.corpora.tables import find, recordings
from emocache.errors import CorpusError
from emocache.types import CorpusInfo, Utterance

EMOTIONS: Mapping[str, str] = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip
GENDERS: Mapping[str, str] = {
    "03": "M", "08": "F", "09": "F", "10": "M", "11": "M", "12": "M", "13": "F", "14": "F", "15": "M", "16": "F",
}  # fmt: skip
TEXTS: Mapping[str, str] = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}

_COUNTS = {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79}

INFO = CorpusInfo(
    title="EmoDB, Berlin Database of Emotional Speech",
    licence="free to use, without a licence text",
    share="ask",
    citation="Burkhardt et al. (2005), A Database of German Emotional Speech, Interspeech",
    scheme="emodb-7",
    languages=("de",),
    home="http://emodb.bilderbar.info",
    expected={"emodb-7": _COUNTS, "as-is": _COUNTS},
)

_NAME = re.compile(rf"(?P<speaker>{'|'.join(GENDERS)})(?P<text>{'|'.join(TEXTS)})(?P<emotion>[WLEAFTN])(?P<version>[a-z]?)")


def info(_root: Path) -> CorpusInfo:
    """The release knows only one form."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """Every recording by name. CorpusError when it is not EmoDB."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one that holds wav/")
    folder = find(root, "wav")
    if folder is None:
        raise CorpusError(f"{root}: no folder wav here or one level below; give the folder that holds it")
    files = recordings(folder)
    if not files:
        raise CorpusError(f"{folder}: holds no recordings; give the folder that holds wav/ with 03a01Fa.wav and the others")
    return [_utterance(path, root) for path in files]


def alignments(root: Path, utterances: Sequence[Utterance]) -> list[Alignment]:
    """The labels made by hand, where silb/, labsilb/ or lablaut/ lie beside wav/."""
    folder = find(root, "wav")
    return emodb_alignment(folder.parent, utterances) if folder else []


def _utterance(path: Path, root: Path) -> Utterance:
    """One file, labelled by its name."""
    name = _NAME.fullmatch(path.stem)
    if name is None:
        raise CorpusError(f"{path}: not an EmoDB name; expected such as 03a01Fa, so rename or remove the file")
    return Utterance(
        id=path.stem,
        path=path.relative_to(root).as_posix(),
        emotion=EMOTIONS[name["emotion"]],
        speaker=name["speaker"],
        gender=GENDERS[name["speaker"]],
        transcript=TEXTS[name["text"]],
        language="de",
        extra={"text": name["text"], "version": name["version"]},
    )
