"""What may be passed on: by licence, by name, and to the byte."""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from emocache import manifest
from emocache.corpora import CORPORA
from emocache.errors import CorpusError, UsageError
from emocache.share import policy
from emocache.store import open_cache
from emocache.store.seal import is_sealed, sealed
from emocache.types import PASSABLE, Corpus, Utterance
from tests import small_corpus
from tests.toy_store import CARD, toy, write


def corpus(**fields: object) -> Corpus:
    one = Utterance(
        id="u0", path="deep/u0.wav", emotion="sad", speaker="s1", session="1", transcript="yes", start_s=1.0, end_s=2.0, valence=3.0,
        extra={"age": "30", "voice": "s2"},
    )  # fmt: skip
    about: dict[str, object] = {"name": "mine", "reader": "csv", "scheme": "as-is", "audio_root": Path("/data/mine"), "utterances": (one,)}
    return Corpus(**about | fields)  # type: ignore[arg-type]


def test_every_corpus_that_is_had_on_request_needs_a_reason_and_cremad_needs_none() -> None:
    shares = {name: reader.INFO.share for name, reader in CORPORA.items()}
    assert shares == dict.fromkeys(CORPORA, "ask") | {"cremad": "free", "ravdess": "free"}
    assert "audio" in CORPORA["cremad"].INFO.passes
    assert not {"audio", "transcripts"} & {kind for name in ("iemocap", "msp-podcast", "meld") for kind in CORPORA[name].INFO.passes}


def test_what_the_licence_forbids_no_option_lets_out() -> None:
    with pytest.raises(UsageError, match=r"mine: its licence \(unknown\) forbids .* no option changes that"):
        policy.allowed(corpus(share="forbidden"), reason="I am the publisher")
    with pytest.raises(UsageError, match="forbids"):
        policy.allowed(corpus(share="free"), [replace(CARD, corpus_share="forbidden")])
    with pytest.raises(UsageError, match="forbids"):
        policy.allowed(corpus(share="whatever"), reason="x")


def test_who_is_to_be_asked_wants_a_reason_and_keeps_it() -> None:
    for reason in (None, "", "  \n"):
        with pytest.raises(UsageError, match="--i-may-share REASON"):
            policy.allowed(corpus(), reason=reason)
    assert policy.allowed(corpus(), reason="our lab's\nagreement").reason == "our lab's agreement"
    assert policy.allowed(corpus(share="free"), reason="needless").reason == ""
    assert policy.allowed(corpus(share="free"), [replace(CARD, corpus_share="ask")], reason="because").share == "ask"


def test_labels_speakers_and_folds_go_and_nothing_else_unasked() -> None:
    free = corpus(share="free", passes=PASSABLE)
    (one,) = policy.public_corpus(free, policy.allowed(free)).utterances
    assert (one.emotion, one.speaker, one.session, one.valence) == ("sad", "s1", "1", 3.0)
    assert (one.transcript, one.path, one.start_s, one.end_s) == (None, "", None, None)
    assert dict(one.extra) == {"voice": "s2"}


def test_transcripts_and_columns_go_when_asked_for_by_name() -> None:
    free = corpus(share="free", passes=PASSABLE)
    asked = policy.allowed(free, asked=["transcripts"], columns=["age"])
    public = policy.public_corpus(free, asked)
    assert (public.utterances[0].transcript, dict(public.utterances[0].extra)) == ("yes", {"age": "30", "voice": "s2"})
    assert public.lacks == ("audio",)
    with pytest.raises(UsageError, match="does not let transcripts be passed on"):
        policy.allowed(corpus(share="free"), asked=["transcripts"])
    with pytest.raises(UsageError, match="has no further column 'wage'; there are: age, voice"):
        policy.allowed(free, columns=["wage"])


def test_speakers_that_may_not_go_take_voices_with_them() -> None:
    shy = corpus(share="free", passes=("labels",))
    public = policy.public_corpus(shy, policy.allowed(shy))
    assert public.lacks == ("speakers", "folds", "transcripts", "audio")
    assert (public.utterances[0].speaker, public.utterances[0].session, dict(public.utterances[0].extra)) == (None, None, {})


def test_a_reduced_manifest_tells_of_no_folder_and_is_read_again(tmp_path: Path) -> None:
    whole = replace(small_corpus.make(tmp_path), share="free", notes=("see /home/me/notes",))
    written = policy.write_public(whole, policy.allowed(whole), tmp_path / "copy")
    text = written.read_text() + written.with_name("corpus.json").read_text()
    assert str(tmp_path) not in text
    assert "/home" not in text
    assert "wav" not in text
    assert "kids" not in text
    found = manifest.load(tmp_path / "copy", "tiny")
    assert [(one.id, one.emotion, one.speaker, one.session) for one in found.utterances] == [
        (one.id, one.emotion, one.speaker, one.session) for one in whole.utterances
    ]
    assert found.lacks == ("transcripts", "audio")


def test_audio_that_goes_is_numbered_and_found_again(tmp_path: Path) -> None:
    whole = replace(small_corpus.make(tmp_path), share="free", passes=PASSABLE)
    allowed = policy.allowed(whole, asked=["audio"])
    files = policy.audio_files(whole, allowed)
    policy.write_public(whole, allowed, tmp_path / "copy")
    folder = tmp_path / "copy/tiny/audio"
    folder.mkdir()
    for name, source in files.items():
        (folder / name).write_bytes(source.read_bytes())
    found = manifest.load(tmp_path / "copy", "tiny")
    for before, after in zip(whole.utterances, found.utterances, strict=True):
        assert (found.audio_root / after.path).read_bytes() == (whole.audio_root / before.path).read_bytes()
    (whole.audio_root / "u1.wav").unlink()
    with pytest.raises(CorpusError, match="1 audio files are not there"):
        policy.audio_files(whole, allowed)


def test_a_copy_does_not_pass_on_what_it_was_given_without() -> None:
    copy = corpus(share="free", passes=PASSABLE, lacks=("transcripts", "audio"))
    assert policy.allowed(copy).lacks == ("transcripts", "audio")
    with pytest.raises(UsageError, match="came here without audio"):
        policy.allowed(copy, asked=["audio"])


KEPT = policy.allowed(corpus(share="free"))
WITH_TEXT = policy.allowed(corpus(share="free", passes=PASSABLE), asked=["transcripts"])


@pytest.mark.parametrize(
    ("path", "goes", "with_text"),
    [
        ("card.json", True, True),
        ("plan/0/ids.npy", True, True),
        ("plan/0/tokens/start.npy", True, True),
        ("plan/0/tokens/column.word.npy", False, True),
        ("plan/0/tokens/column.begin.npy", False, True),
        ("plan/0/word/column.end.npy", False, True),
        ("plan/0/word@mfa/column.label.npy", False, True),
        ("plan/0/phone@mfa+all/column.label.npy", False, True),
        ("plan/0/word@mfa/column.begin.npy", True, True),
        ("plan/0/word@mfa/column.kind.npy", True, True),
        ("plan/0/word@mfa/column.what.npy", False, True),
        ("commits/0/9.json", True, True),
        ("features.zarr/frames/3/c.17.0", True, True),
        ("features.zarr/frames/3/zarr.json", True, True),
        ("features.zarr/frames/3/.zarr.json.part", False, False),
        ("claims/9.lock", False, False),
        ("parts/17.host-1.frames", False, False),
        ("notes.txt", False, False),
    ],
)
def test_of_a_feature_set_goes_what_was_made_and_does_not_tell_the_words(path: str, goes: bool, with_text: bool) -> None:
    assert policy.goes(PurePosixPath(path), KEPT) is goes
    assert policy.goes(PurePosixPath(path), WITH_TEXT) is with_text


def test_checksums_of_what_stays_stay_too_and_the_rest_is_as_it_was() -> None:
    sums = {"column.word.npy": "1" * 64, "start.npy": "2" * 64}
    data = sealed(json.dumps(sums, indent=1, sort_keys=True) + "\n").encode()
    path = PurePosixPath("plan/0/tokens/sha256.json")
    changed = policy.public_bytes(path, data, KEPT)
    assert is_sealed(changed.decode())
    assert {name for name in json.loads(changed) if name != "seal"} == {"start.npy"}
    assert policy.public_bytes(path, data, WITH_TEXT) == data
    assert policy.public_bytes(PurePosixPath("plan/0/sha256.json"), changed, KEPT) == changed


def test_reasons_and_origins_lose_their_folders() -> None:
    entry = {"arrays": {}, "failures": {"u1": "/home/me/my wavs/u1.wav: cannot be opened (gone)"}, "unit": 0}
    data = sealed(json.dumps(entry, indent=1, sort_keys=True) + "\n").encode()
    changed = policy.public_bytes(PurePosixPath("commits/0/0.json"), data, KEPT)
    assert json.loads(changed)["failures"] == {"u1": "u1.wav: cannot be opened (gone)"}
    assert is_sealed(changed.decode())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/data/x/u.wav: broken", "u.wav: broken"),
        ("see '/a/b c/d.txt'", "see 'd.txt'"),
        ("~/models/mine", "mine"),
        ("C:\\data\\u.wav", "u.wav"),
        ("./mine", "./mine"),
        ("org/name@main", "org/name@main"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("either / or", "either / or"),
    ],
)
def test_of_an_absolute_path_the_last_name_is_left(text: str, left: str) -> None:
    assert policy.without_folders(text) == left


def test_a_copy_without_words_is_sound_and_is_read(tmp_path: Path) -> None:
    from emocache.care.verify import verify

    write(tmp_path / "cache", toy([3, 70]))
    source, target = tmp_path / "cache/corpus/toy", tmp_path / "copy/corpus/toy"
    folder = source / "plan/0/frames"
    np.save(folder / "column.word.npy", np.zeros(73, np.int32))
    for path in source.rglob("*"):
        relative = PurePosixPath(path.relative_to(source).as_posix())
        if path.is_file() and policy.goes(relative, KEPT):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            (target / relative).write_bytes(policy.public_bytes(relative, path.read_bytes(), KEPT))
    (tmp_path / "copy/emocache.json").write_bytes((tmp_path / "cache/emocache.json").read_bytes())
    copy = open_cache(tmp_path / "copy").features("corpus", "toy")
    assert not verify(copy.paths).findings
    assert copy.digest == open_cache(tmp_path / "cache").features("corpus", "toy").digest
    assert copy.columns("u0", "frames") == {}
    assert not list(target.rglob("column.word.npy"))


def test_embeddings_of_text_come_with_a_warning() -> None:
    text = replace(CARD, modality="text", encoder="bert-base")
    (warning,) = policy.warnings([text], ["tokens"], KEPT)
    assert "bert-base" in warning
    assert "may reveal the words" in warning
    assert policy.warnings([CARD], ["frames"], KEPT) == []
    assert policy.warnings([text], ["tokens"], WITH_TEXT) == []
