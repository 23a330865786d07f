"""What every corpus reader promises; a new reader needs a row in TREES and nothing here."""

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from emocache import labels, languages, manifest
from emocache.corpora import CORPORA
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError, UsageError
from emocache.labels import SCHEMES
from emocache.types import CorpusInfo

from .trees import TREES, write

READERS = sorted(CORPORA)


def test_every_reader_has_a_tiny_corpus_for_these_tests() -> None:
    assert set(TREES) == set(CORPORA)


@pytest.mark.parametrize("reader", READERS)
def test_info_names_a_known_label_scheme_and_a_known_way_of_sharing(reader: str, tmp_path: Path) -> None:
    info: CorpusInfo = CORPORA[reader].info(TREES[reader](tmp_path))
    assert info == CORPORA[reader].INFO
    assert info.scheme in SCHEMES
    assert info.share in {"free", "ask", "forbidden"}


@pytest.mark.parametrize("reader", READERS)
def test_expected_counts_are_of_classes_that_their_scheme_makes(reader: str) -> None:
    for scheme, counts in CORPORA[reader].INFO.expected.items():
        assert SCHEMES[scheme].keep_all or set(counts) == set(SCHEMES[scheme].merge.values())


@pytest.mark.parametrize("reader", READERS)
def test_counts_by_split_add_up_to_those_of_the_whole(reader: str) -> None:
    info: CorpusInfo = CORPORA[reader].INFO
    for scheme, splits in info.expected_splits.items():
        assert sum(map(Counter, splits.values()), Counter()) == Counter(info.expected[scheme])


@pytest.mark.parametrize("reader", READERS)
def test_every_corpus_says_where_it_is_from_and_in_which_languages(reader: str) -> None:
    info: CorpusInfo = CORPORA[reader].INFO
    assert all(languages.code(language) == language for language in info.languages)
    assert info.home or reader in {"csv", "jsonl"}
    assert bool(info.citation) == (reader not in {"csv", "jsonl", "huggingface"})


@pytest.mark.parametrize("reader", READERS)
def test_known_broken_utterances_have_ids_and_something_wrong_with_them(reader: str) -> None:
    broken = CORPORA[reader].INFO.broken
    assert all(what and re.fullmatch(r"\w+", name) for name, what in broken.items())


@pytest.mark.parametrize("reader", READERS)
def test_every_label_of_a_tiny_corpus_is_one_of_those_that_are_published(reader: str, tmp_path: Path) -> None:
    info: CorpusInfo = CORPORA[reader].INFO
    utterances = CORPORA[reader].read(TREES[reader](tmp_path))
    kept, left_out = labels.apply(info.scheme, utterances)
    assert kept
    assert len(kept) + len(left_out) == len(utterances)
    assert SCHEMES[info.scheme].keep_all or {u.emotion for u in kept} <= set(SCHEMES[info.scheme].merge.values())
    assert {u.emotion for u in utterances} <= set(info.expected.get("as-is", {u.emotion: 1 for u in utterances}))


@pytest.mark.parametrize("reader", READERS)
def test_who_is_left_out_is_listed_by_name(reader: str, tmp_path: Path) -> None:
    root = TREES[reader](tmp_path / "corpus")
    prepared = prepare(reader, root, name="tiny", data=tmp_path / "data")
    with (tmp_path / "data" / "tiny" / manifest.LEFT_OUT).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = {utterance.id for utterance in prepared.corpus.utterances}
    assert {row["utterance_id"] for row in rows} == {utterance.id for utterance in CORPORA[reader].read(root)} - kept
    assert all(row["reason"] for row in rows)
    assert len(rows) == len(prepared.left_out) == sum(prepared.corpus.left_out.values())


@pytest.mark.parametrize("reader", READERS)
def test_reading_twice_gives_the_same_utterances_in_the_same_order(reader: str, tmp_path: Path) -> None:
    root = TREES[reader](tmp_path)
    first = CORPORA[reader].read(root)
    assert first
    assert first == CORPORA[reader].read(root)


@pytest.mark.parametrize("reader", READERS)
def test_every_path_is_relative_and_leads_to_audio(reader: str, tmp_path: Path) -> None:
    root = TREES[reader](tmp_path)
    folder = root if root.is_dir() else root.parent
    paths = [Path(utterance.path) for utterance in CORPORA[reader].read(root)]
    assert not any(path.is_absolute() for path in paths)
    assert all((folder / path).is_file() for path in paths)


@pytest.mark.parametrize("reader", READERS)
def test_a_root_that_is_not_there_is_named(reader: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(CorpusError, match=r"nowhere: no such .*; give the"):
        CORPORA[reader].read(nowhere)


@pytest.mark.parametrize("reader", READERS)
def test_an_empty_folder_is_not_a_corpus(reader: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="; give the"):
        CORPORA[reader].read(tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_what_was_prepared_is_what_is_loaded(reader: str, tmp_path: Path) -> None:
    made = prepare(reader, TREES[reader](tmp_path / "corpus"), name="tiny", data=tmp_path / "data").corpus
    loaded = manifest.load(tmp_path / "data", "tiny")
    assert [_filled(u.extra) for u in loaded.utterances] == [_filled(u.extra) for u in made.utterances]
    assert [replace(u, extra={}) for u in loaded.utterances] == [replace(u, extra={}) for u in made.utterances]
    assert replace(loaded, utterances=()) == replace(made, utterances=())


@pytest.mark.parametrize("reader", READERS)
def test_every_utterance_was_heard(reader: str, tmp_path: Path) -> None:
    prepared = prepare(reader, TREES[reader](tmp_path / "corpus"), name="tiny", data=tmp_path / "data")
    samples = [utterance.samples or 0 for utterance in prepared.corpus.utterances]
    assert min(samples) == 1600
    assert prepared.seconds == sum(samples) / 16_000
    assert all(utterance.audio_sha256 for utterance in prepared.corpus.utterances)


@pytest.mark.parametrize("reader", READERS)
def test_preparing_twice_writes_the_same_manifest(reader: str, tmp_path: Path) -> None:
    root = TREES[reader](tmp_path / "corpus")
    first = prepare(reader, root, name="tiny", data=tmp_path / "data").manifest.read_bytes()
    assert prepare(reader, root, name="tiny", data=tmp_path / "data").manifest.read_bytes() == first


def test_a_reader_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no corpus reader 'iemokap'; there are: iemocap, meld, cremad, ravdess, .*csv"):
        prepare("iemokap", tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_where_corpora_come_from_is_written_down(reader: str) -> None:
    text = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    assert f"emocache prepare {reader} " in text


def test_a_file_given_for_a_folder_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        prepare("iemocap", write(tmp_path / "IEMOCAP.tar", "x"), data=tmp_path / "data")


def _filled(extra: object) -> dict[str, str]:
    """Extra cells that hold anything: an empty cell and no cell are the same."""
    assert isinstance(extra, dict)
    return {name: value for name, value in extra.items() if value}
