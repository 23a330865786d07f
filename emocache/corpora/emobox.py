"""EmoBox: folds that its authors published for many corpora, as JSONL beside the audio of the corpora themselves.

    CLONE/data/emodb/fold_1/emodb_train_fold_1.jsonl    what fold 1 trains on (also _test_, and _valid_ where there is one)
    CLONE/data/emodb/label_map.json                     its classes for the corpus's own labels
    CLONE/downloads/emodb/wav/03a02Wb.wav               `wav` in a row counts from the clone

ROOT is CLONE/data/emodb. Where there are several folds, an utterance's `fold` is the one whose test part it is in, if each is
in exactly one; where there is one, its `split` is the part it is in. Which part it is in stands in fold_1, fold_2, ... always.
`emotion` is the row's `emo` as it stands; EmoBox's class is the extra column emobox_label. Its `channel` counts channels, and
picks none.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from emocache.corpora.tables import Row, json_rows, text
from emocache.errors import CorpusError
from emocache.manifest import from_cells
from emocache.types import CorpusInfo, Utterance

PARTS = ("train", "valid", "test")
_RENAMED: Mapping[str, str] = {
    "key": "utterance_id", "emo": "emotion", "spk": "speaker", "sex": "gender", "channel": "channels",
    "start_time": "start", "end_time": "end",
}  # fmt: skip
_OURS = {"wav", "split", "fold"}

INFO = CorpusInfo(
    title="A corpus as EmoBox divides it",
    licence="that of the corpus; EmoBox adds the division alone",
    share="ask",
    citation="Ma et al. (2024), EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark, Interspeech",
    scheme="as-is",
    home="https://github.com/emo-box/EmoBox",
)


def info(_root: Path) -> CorpusInfo:
    """The same for every corpus: what the corpus itself asks for is to be looked up there."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """Every utterance of every fold, in the order of the first fold that has it. CorpusError when it is no corpus of EmoBox."""
    folds = _folds(root)
    rows: dict[str, Row] = {}
    parts: dict[str, dict[str, str]] = {}
    for fold, files in folds.items():
        for part, path in files.items():
            for where, cells in json_rows(path):
                _check(where, cells, rows)
                rows.setdefault(cells["key"], (where, cells))
                _put(parts.setdefault(cells["key"], {}), fold, part, where)
    classes, base = _classes(root / "label_map.json"), _base(root, rows)
    division = _division(list(folds), parts)
    return [_utterance(row, base, classes, division[key] | _named(parts[key])) for key, row in rows.items()]


def _folds(root: Path) -> dict[str, dict[str, Path]]:
    """Fold -> part -> its file."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the corpus's own in a clone of EmoBox, such as EmoBox/data/emodb")
    numbers = sorted(int(name[1]) for path in root.glob("fold_*") if (name := re.fullmatch(r"fold_(\d+)", path.name)))
    if not numbers:
        raise CorpusError(f"{root}: no folders fold_1, ...; give the corpus's own in a clone of EmoBox, such as EmoBox/data/emodb")
    folds = {str(number): _files(root / f"fold_{number}", number) for number in numbers}
    for number, files in folds.items():
        if not {"train", "test"} <= set(files):
            raise CorpusError(f"{root / f'fold_{number}'}: no train and test .jsonl; restore the fold")
    return folds


def _files(folder: Path, number: int) -> dict[str, Path]:
    """The parts of a fold: emodb_test_fold_1.jsonl, or emodb_test_fold1.jsonl, which lies beside it in one corpus, or test.jsonl."""
    return {
        part: found[0]
        for part in PARTS
        if (found := [path for end in (f"*_{part}_fold_{number}", f"*_{part}_fold{number}", part) for path in folder.glob(f"{end}.jsonl")])
    }


def _check(where: str, cells: Mapping[str, str], rows: Mapping[str, Row]) -> None:
    """Refuse a row that lacks something, is not of audio, or says something else of an utterance than an earlier one."""
    if missing := [name for name in ("key", "wav") if not cells.get(name)]:
        raise CorpusError(f"{where}: no {', '.join(missing)}; restore the file")
    if cells.get("type", "raw") != "raw":
        raise CorpusError(f"{where}: type is {cells['type']!r}; only audio ('raw') can be read, so give the folds of the recordings")
    earlier, first = rows.get(cells["key"], (where, cells))
    if any(first.get(name) != cells.get(name) for name in ("wav", "emo")):
        raise CorpusError(f"{where}: {cells['key']} has another wav or emo than in {earlier}; restore the files")


def _put(parts: dict[str, str], fold: str, part: str, where: str) -> None:
    """Note the part of a fold that an utterance is in."""
    if fold in parts:
        raise CorpusError(f"{where}: stands in fold {fold} twice, in {parts[fold]} and in {part}; restore the files")
    parts[fold] = part


def _division(folds: list[str], parts: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The split or the fold of every utterance, where there is one."""
    if len(folds) == 1:
        return {key: {"split": mine[folds[0]]} for key, mine in parts.items()}
    tested = {key: [fold for fold, part in mine.items() if part == "test"] for key, mine in parts.items()}
    once = all(len(tests) == 1 for tests in tested.values())
    return {key: {"fold": tests[0]} if once else {} for key, tests in tested.items()}


def _named(parts: Mapping[str, str]) -> dict[str, str]:
    return {f"fold_{fold}": part for fold, part in parts.items()}


def _classes(path: Path) -> dict[str, str]:
    """EmoBox's classes by label; none where it has no map."""
    if not path.is_file():
        return {}
    try:
        return {str(label): str(name) for label, name in json.loads(text(path)).items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise CorpusError(f"{path}: damaged ({error}); restore the file") from None


def _base(root: Path, rows: Mapping[str, Row]) -> str:
    """What `wav` counts from, seen from `root`: the clone two folders above, where the first file that is anywhere is; else `root`."""
    tried = ((up, cells["wav"]) for _, cells in rows.values() for up in ("", "../", "../../"))
    return next((up for up, wav in tried if (root / up / wav).is_file()), "")


def _utterance(row: Row, base: str, classes: Mapping[str, str], division: Mapping[str, str]) -> Utterance:
    """One row; fields that the manifest does not know are extra columns."""
    where, cells = row
    label = cells.get("emo", "")
    known = {_RENAMED.get(name, name): value for name, value in cells.items() if name not in _OURS}
    ours = {"path": base + cells["wav"], "emobox_label": classes.get(label, "")}
    return from_cells(known | ours | dict(division), where)
