"""A copy that came without audio and transcripts: it is trained on, and says what it cannot do."""

from dataclasses import replace
from pathlib import Path

import pytest

from emocache import manifest
from emocache.corpora.prepare import prepare
from emocache.errors import UsageError
from emocache.share import policy
from tests import checkpoints, small_corpus
from tests.shell import Shell
from tests.toy_store import toy, write


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A cache with a reduced manifest, as a pull leaves it."""
    corpus = small_corpus.make(tmp_path, (0.1,) * 16, name="corpus")
    spread = tuple(replace(one, emotion=("sad", "hap")[i // 2 % 2], speaker=f"s{i % 8}") for i, one in enumerate(corpus.utterances))
    corpus = replace(corpus, utterances=spread)
    write(tmp_path / "cache", toy([9] * 16))
    policy.write_public(corpus, policy.allowed(corpus, reason="x"), tmp_path / "cache")
    return tmp_path / "cache"


def test_a_head_is_trained_without_audio_paths_or_transcripts(copy: Path, shell: Shell) -> None:
    assert shell.run("train linear --encoders toy --corpus corpus --protocol loso --data none --set epochs=1 --quiet") == 0, shell.err
    assert "labels from the cache's copy of the manifest" in shell.out


def test_extract_says_that_the_audio_is_not_there(copy: Path, shell: Shell, tmp_path: Path) -> None:
    checkpoints.speech(tmp_path / "model")
    assert shell.run(f"extract --model ./model --corpus corpus --data {copy}") == 2
    assert "corpus: is a copy that came without its audio, so what is there can be trained on and nothing more can be encoded" in shell.err


def test_a_corpus_of_ones_own_is_shared_as_its_owner_says(tmp_path: Path, shell: Shell) -> None:
    small_corpus.make(tmp_path)
    table = tmp_path / "data/tiny/manifest.csv"
    assert shell.run(f"prepare csv {table} --name mine --root audio --licence CC0 --share free --passes labels,transcripts") == 0
    found = manifest.load(tmp_path / "data", "mine")
    assert (found.licence, found.share, found.passes) == ("CC0", "free", ("labels", "transcripts"))
    assert shell.run(f"prepare csv {table} --name other --root audio") == 0
    assert manifest.load(tmp_path / "data", "other").share == "ask"
    for wrong in ("--share maybe", "--passes secrets"):
        assert shell.run(f"prepare csv {table} --name other --root audio {wrong}") == 2
        assert "expected" in shell.err


def test_the_licence_of_a_known_corpus_cannot_be_made_looser(tmp_path: Path) -> None:
    from tests.corpora.trees import TREES

    root = TREES["cremad"](tmp_path)
    for said in ({"licence": "mine"},):
        with pytest.raises(UsageError, match="cremad: its licence is known"):
            prepare("cremad", root, data=tmp_path / "data", **said)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="can only be stricter"):
        prepare("iemocap", TREES["iemocap"](tmp_path), data=tmp_path / "data", share="free")
    assert prepare("cremad", root, data=tmp_path / "data", share="forbidden").corpus.share == "forbidden"
