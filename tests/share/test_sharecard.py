"""The card: what it says, what it never says, and how it is read when others wrote it."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from emocache import audio
from emocache.corpora import CORPORA
from emocache.errors import CacheError, EmocacheError, NewerFormat
from emocache.share import citing, gate, policy, sharecard, typed
from emocache.share.arrived import arrived
from emocache.share.readme import readme
from emocache.share.sharecard import ShareCard
from emocache.store import open_cache
from emocache.types import Corpus
from tests import small_corpus
from tests.toy_store import CARD, toy, write

BOTH = {"frames": [0, 1], "utterance": [0, 1]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def corpus(place: Path) -> Corpus:
    made = small_corpus.make(place)
    utterances, _ = audio.scan(made.utterances, made.audio_root)
    return replace(made, name="corpus", citation="Doe et al. (2020), A corpus, Interspeech", utterances=tuple(utterances))


@pytest.fixture(scope="module")
def card(place: Path, corpus: Corpus) -> ShareCard:
    write(place / "cache", toy([3, 70]), BOTH, card=replace(CARD, model="/home/me/ckpt", origin="folder /home/me/ckpt"))
    features = open_cache(place / "cache").features("corpus", "toy")
    allowed = policy.allowed(corpus, reason="we | may <b>")
    shared = sharecard.shared_corpus(corpus, allowed, gate.challenge(corpus, []))
    one = sharecard.shared_features(features, BOTH, utterances=2, size=1234)
    entry = citing.of_corpus(corpus)
    assert entry is not None
    return sharecard.share_card([shared], [one], ["words may be revealed"], [entry.line, citing.TOOL.line])


def changed(card: ShareCard, change: Any) -> bytes:
    about = asdict(card)
    change(about)
    return json.dumps(about).encode()


def test_a_card_is_read_as_it_was_written(card: ShareCard) -> None:
    assert sharecard.read(sharecard.to_bytes(card), "card.json") == card


def test_a_card_says_how_features_were_made_and_never_where(card: ShareCard, place: Path) -> None:
    (one,) = card.features
    assert one.levels == {"frames": "0-1", "utterance": "0-1"}
    assert (one.encoder, one.weights, one.origin, one.bytes) == ("toy", "w", "folder ckpt", 1234)
    assert one.commands == ("emocache extract --model ckpt --levels frames,utterance --corpus corpus",)
    for text in (sharecard.to_bytes(card).decode(), readme(card)):
        assert str(place) not in text
        assert "/home" not in text


def test_the_page_says_licence_reason_proof_warnings_and_what_to_cite(card: ShareCard) -> None:
    page = readme(card)
    assert "licence: unknown" in page
    assert "ask; passed on since: we \\| may &lt;b&gt;" in page
    assert "6 of 6 utterances are looked for" in page
    assert "not encryption" in page
    assert "- words may be revealed" in page
    assert "@misc{corpus-corpus, title = {{A corpus}}, author = {Doe and others}" in page
    assert "| corpus/toy | toy | frames 0-1; utterance 0-1 | 2 | fp16 | fp32 | 1.2 kB |" in page


def test_where_a_corpus_is_had_is_said_of_it_and_not_of_a_look_alike(corpus: Corpus) -> None:
    info = CORPORA["cremad"].INFO
    real = replace(corpus, reader="cremad", share="free", citation=info.citation)
    alike = replace(real, citation="Synthesised")
    homes = [sharecard.shared_corpus(one, policy.allowed(one), None).home for one in (real, alike)]
    assert homes == [info.home, ""]


def test_a_corpus_that_is_not_free_has_no_card_without_proof_being_asked_for(corpus: Corpus) -> None:
    with pytest.raises(EmocacheError, match="must ask for proof"):
        sharecard.shared_corpus(corpus, policy.allowed(corpus, reason="x"), None)
    free = replace(corpus, share="free")
    assert sharecard.shared_corpus(free, policy.allowed(free), gate.challenge(free, [])).challenge is None


def put(path: str, value: object) -> Any:
    """What sets a field of a card, by its path such as corpora.0.name."""

    def change(about: Any) -> None:
        *before, last = path.split(".")
        for part in before:
            about = about[int(part) if part.isdecimal() else part]
        about[int(last) if last.isdecimal() else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("corpora.0.name", "../../etc", "cannot be a folder's name"),
        ("features.0.name", "/root", "cannot be a folder's name"),
        ("features.0.name", "a\x1b[2J", "cannot be shown"),
        ("features.0.corpus", "other", "is of no corpus that it names"),
        ("features.0.bytes", -1, "cannot be"),
        ("features.0.bytes", "12", "is str, expected int"),
        ("features.0.bytes", True, "is bool, expected int"),
        ("features.0.levels", {"frames": "0-99999999999999999"}, "layers"),
        ("features.0.levels", {"../x": "0"}, "no level"),
        ("features.0.levels", ["frames"], "is list, expected dict"),
        ("features.0.digest", "abc", "digest cannot be"),
        ("corpora.0.share", "free", "does not go with proof"),
        ("corpora.0.challenge", None, "does not go with no proof"),
        ("corpora.0.passes", ["secrets"], "none that there is"),
        ("corpora.0.challenge.asked", [], "which cannot be"),
        ("corpora.0.challenge.asked.0.start_s", "1", "is str, expected float"),
        ("warnings", ["x" * 5000], "too long"),
        ("surprise", 1, "unknown field 'surprise'"),
        ("format", 0, "has format 0, expected 1"),
        ("format", "1", "is str, expected int"),
    ],
)
def test_a_card_that_cannot_be_is_refused_in_one_line(card: ShareCard, path: str, value: object, said: str) -> None:
    with pytest.raises(CacheError) as error:
        sharecard.read(changed(card, put(path, value)), "card.json")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_card_that_lacks_a_field_is_refused_by_its_name(card: ShareCard) -> None:
    for name in asdict(card):
        with pytest.raises(CacheError, match=f"has no field '{name}'"):
            sharecard.read(changed(card, lambda about, name=name: about.pop(name)), "card.json")


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}'])
def test_what_is_no_card_is_refused(data: bytes) -> None:
    with pytest.raises(CacheError):
        sharecard.read(data, "card.json")


def test_a_card_of_a_later_release_says_to_upgrade(card: ShareCard) -> None:
    with pytest.raises(NewerFormat, match="upgrade emocache"):
        sharecard.read(changed(card, lambda about: about.update(format=2, more=1)), "card.json")


def test_a_card_beyond_all_bounds_is_not_parsed(monkeypatch: pytest.MonkeyPatch, card: ShareCard) -> None:
    monkeypatch.setattr(sharecard, "MOST_BYTES", 100)
    with pytest.raises(CacheError, match="and none of these has more than 100"):
        sharecard.read(sharecard.to_bytes(card), "card.json")
    monkeypatch.undo()
    monkeypatch.setattr(typed, "MOST", 0)
    with pytest.raises(CacheError, match="entries"):
        sharecard.read(sharecard.to_bytes(card), "card.json")


def test_two_names_that_one_folder_would_have_are_refused(card: ShareCard) -> None:
    (one,) = card.features
    twice = replace(card, features=(one, replace(one, name="TOY")))
    with pytest.raises(CacheError, match="twice"):
        sharecard.read(sharecard.to_bytes(twice), "card.json")


def test_a_corpus_that_came_has_what_its_card_says(card: ShareCard, corpus: Corpus, tmp_path: Path) -> None:
    policy.write_public(corpus, policy.allowed(corpus, reason="x"), tmp_path / "came")
    found = arrived(tmp_path / "came", card.corpora[0])
    assert (found.share, found.lacks, found.audio_root) == ("ask", ("transcripts", "audio"), Path())
    assert [one.emotion for one in found.utterances] == [one.emotion for one in corpus.utterances]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("u0,,", "u0,/etc/passwd,", "files outside of the copy"),
        ("u0,,", "u0,../x.wav,", "files outside of the copy"),
        ("u0,,", "../u0,,", "cannot be names"),
        ("u0,,sad", "u0,,sa\x1bd", "cannot be shown"),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused(card: ShareCard, corpus: Corpus, tmp_path: Path, old: str, new: str, said: str) -> None:
    path = policy.write_public(corpus, policy.allowed(corpus, reason="x"), tmp_path / "came")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CacheError, match=said):
        arrived(tmp_path / "came", card.corpora[0])


@pytest.mark.parametrize(
    "about", [b"[]", b'{"lacks": 5, "audio_root": "."}', b'{"audio_root": 7}', b'{"left_out": [1], "audio_root": "."}', b"[" * 100_000]
)
def test_a_corpus_json_that_cannot_be_is_refused(card: ShareCard, corpus: Corpus, tmp_path: Path, about: bytes) -> None:
    path = policy.write_public(corpus, policy.allowed(corpus, reason="x"), tmp_path / "came")
    path.with_name("corpus.json").write_bytes(about)
    with pytest.raises(CacheError, match="cannot be used"):
        arrived(tmp_path / "came", card.corpora[0])


def test_transcripts_that_the_card_does_not_tell_of_are_refused(card: ShareCard, corpus: Corpus, tmp_path: Path) -> None:
    path = policy.write_public(corpus, policy.allowed(corpus, reason="x"), tmp_path / "came")
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},transcript", *(f"{row},yes" for row in rows)]) + "\n")
    with pytest.raises(CacheError, match="'transcript', which its card does not tell of"):
        arrived(tmp_path / "came", card.corpora[0])
    path.write_text("\n".join([f"{header},notes", *(f"{row},yes" for row in rows)]) + "\n")
    with pytest.raises(CacheError, match="'notes', which its card does not tell of"):
        arrived(tmp_path / "came", card.corpora[0])
