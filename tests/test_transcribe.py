"""`emocache transcribe`: what Whisper hears, or a table says, becomes a corpus of the same utterances in other words."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from emocache import manifest, transcribe, transcripts
from emocache.errors import CorpusError, EncoderError, UsageError
from emocache.recogniser import Recogniser
from tests import checkpoints, small_corpus
from tests.shell import Shell

CPU = torch.device("cpu")
TABLE = "utterance_id,transcript\n" + "".join(
    f"u{i},{text}\n" for i, text in enumerate(("i do not", "kids talking; really!", "", "x y", "z", "i don't"))
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.hearing(tmp_path_factory.mktemp("hearing") / "whisper-tiny")


def test_what_is_heard_is_a_corpus_beside_the_first_and_the_first_stays(tmp_path: Path, shell: Shell, model: Path) -> None:
    before = small_corpus.make(tmp_path)
    assert shell.run(f"transcribe --model {model} --json") == 0
    done = json.loads(shell.out)
    assert (done["corpus"], done["of"], done["utterances"], done["now"]) == ("tiny-whisper-tiny", "tiny", 6, 6)
    made = manifest.load(tmp_path / "data", "tiny-whisper-tiny")
    assert [(u.id, u.emotion, u.speaker, u.path) for u in made.utterances] == [
        (u.id, u.emotion, u.speaker, u.path) for u in before.utterances
    ]
    assert (made.audio_root, made.licence, made.share) == (before.audio_root, before.licence, before.share)
    assert "the transcripts are another's than those of tiny: folder whisper-tiny at local (sha256 " in made.notes[-1]
    assert [u.transcript for u in manifest.load(tmp_path / "data", "tiny").utterances] == [u.transcript for u in before.utterances]
    assert any(u.transcript for u in made.utterances)


def test_what_was_heard_is_not_heard_again_unless_its_audio_is_another(
    tmp_path: Path, shell: Shell, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_corpus.make(tmp_path)
    heard: list[int] = []
    hear = Recogniser.hear

    def torn(self: Recogniser, waves: list[np.ndarray]) -> list[str]:
        heard.append(len(waves))
        if len(heard) == 2:
            raise KeyboardInterrupt
        return hear(self, waves)

    monkeypatch.setattr(Recogniser, "hear", torn)
    assert shell.run(f"transcribe --corpus tiny --model {model} --batch 2") == 130
    assert not (tmp_path / "data" / "tiny-whisper-tiny" / "manifest.csv").exists()
    heard[:] = [0, 0]
    assert shell.run(f"transcribe --corpus tiny --model {model} --batch 2") == 0
    assert heard[2:] == [2, 2], "two of the six were heard before"
    whole = (tmp_path / "data" / "tiny-whisper-tiny" / "manifest.csv").read_bytes()
    small_corpus.make(tmp_path, (0.4, *small_corpus.SECONDS[1:]))
    assert shell.run(f"transcribe --corpus tiny --model {model} --batch 2") == 0
    assert heard[4:] == [1]
    small_corpus.make(tmp_path)
    assert shell.run(f"transcribe --corpus tiny --model {model} --batch 6") == 0
    assert (tmp_path / "data" / "tiny-whisper-tiny" / "manifest.csv").read_bytes() == whole


def test_a_recording_longer_than_a_window_is_heard_to_its_end(model: Path) -> None:
    recogniser, wave = Recogniser(str(model), CPU), small_corpus.wave(7, 2.5)
    texts = recogniser.hear([wave, wave[:16_000], wave[:8000]])
    assert texts[1:] == [recogniser.hear([wave[:16_000]])[0], recogniser.hear([wave[:8000]])[0]]
    assert texts[0] != recogniser.hear([wave[:16_000]])[0]


def test_what_is_no_whole_whisper_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(EncoderError, match="is no Whisper model"):
        Recogniser(str(checkpoints.speech(tmp_path / "hubert")), CPU)
    with pytest.raises(EncoderError, match="its tokenizer is not in"):
        Recogniser(str(checkpoints.whisper(tmp_path / "whisper")), CPU)
    settings = model / "generation_config.json"
    text = settings.read_text()
    settings.unlink()
    with pytest.raises(EncoderError, match=r"generation_config.json is not in"):
        Recogniser(str(model), CPU)
    settings.write_text(text)


def test_a_table_gives_the_words_and_the_rate_of_wrong_ones_is_told(tmp_path: Path, shell: Shell) -> None:
    small_corpus.make(tmp_path)
    Path("asr.csv").write_text(TABLE)
    assert shell.run("transcribe --from asr.csv") == 0
    made = manifest.load(tmp_path / "data", "tiny-asr")
    assert [u.transcript for u in made.utterances] == ["i do not", "kids talking; really!", None, "x y", "z", "i don't"]
    # "i do not know", "kids talking really" and "i don't", twice: 1 deleted; 2 deleted; 4 replaced or deleted; 3 replaced or deleted
    assert f"word error rate {100 * 10 / 18:.1f} % (10 of 18 words; lower case, no punctuation)" in shell.out
    assert "no word in 1 utterances" in shell.err


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("utterance_id,words\nu0,a\n", "asr.csv: no column transcript"),
        ("utterance_id,transcript\nu0,a\nu0,b\n", "'u0' stands twice"),
        ("utterance_id,transcript\nu0,a,b\n", "asr.csv:2: not as many fields"),
        ("utterance_id,transcript\nu0,a\n", "has no transcript of 5 of 6 utterances of tiny, first u1"),
        (TABLE + "u9,more\n", "1 transcripts are of no utterance of tiny, first 'u9'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, shell: Shell, text: str, line: str) -> None:
    small_corpus.make(tmp_path)
    Path("asr.csv").write_text(text)
    assert shell.run("transcribe --from asr.csv") == 2
    assert line in shell.err
    assert manifest.names(tmp_path / "data") == ["tiny"]


def test_another_corpus_is_never_overwritten(tmp_path: Path, shell: Shell) -> None:
    small_corpus.make(tmp_path)
    small_corpus.make(tmp_path, name="mine")
    Path("asr.csv").write_text(TABLE)
    for name, line in (("mine", "is another corpus"), ("tiny", "is the corpus itself")):
        assert shell.run(f"transcribe --corpus tiny --from asr.csv --name {name}") == 2
        assert line in shell.err


def test_words_of_two_recognisers_are_never_mixed(tmp_path: Path, shell: Shell, model: Path) -> None:
    small_corpus.make(tmp_path)
    assert shell.run(f"transcribe --model {model} --name heard") == 0
    journal = tmp_path / "data" / "heard" / "journal.jsonl"
    journal.write_text(journal.read_text().replace("greedy", "beams"))
    assert shell.run(f"transcribe --corpus tiny --model {model} --name heard") == 2
    assert "two kinds are never mixed: give another --name" in shell.err


def test_prepare_has_a_corpus_heard_when_asked(tmp_path: Path, shell: Shell, model: Path) -> None:
    small_corpus.make(tmp_path)
    assert shell.run(f"prepare csv data/tiny/manifest.csv --name mine --root audio --transcribe {model}") == 0
    assert "mine-whisper-tiny/manifest.csv: 6 utterances of mine in other words, 6 heard now" in shell.out


def test_views_are_not_transcribed(tmp_path: Path) -> None:
    corpus = small_corpus.changed(small_corpus.make(tmp_path), "u5", parent="u0")
    made = transcripts.in_other_words(corpus, {f"u{i}": "so" for i in range(6)}, "other", "somebody")
    assert [one.id for one in made.utterances] == ["u0", "u1", "u2", "u3", "u4"]


def test_errors_are_counted_by_words_whatever_their_case_and_punctuation(tmp_path: Path) -> None:
    spoken = small_corpus.make(tmp_path).utterances[:2]
    assert transcribe.errors_of(spoken, {"u0": "I do NOT know.", "u1": "kids, talking"}) == (1, 7)
    with pytest.raises(CorpusError, match="cannot be read"):
        transcripts.read_csv(tmp_path / "none.csv")


def test_damaged_lines_of_the_journal_count_as_none(tmp_path: Path, shell: Shell, model: Path) -> None:
    small_corpus.make(tmp_path)
    path = tmp_path / "data" / "tiny-whisper-tiny" / "journal.jsonl"
    assert shell.run(f"transcribe --corpus tiny --model {model}") == 0
    whole = (path.parent / "manifest.csv").read_bytes()
    lines = path.read_text().split("\n")
    first = json.loads(lines[1])
    damaged = [json.dumps(first | change) for change in ({"text": 7}, {"text": None}, {"id": ["u"]}, {"text": "\ud800"})]
    path.write_text("\n".join([lines[0], *lines[2:], *damaged, "[" * 100_000, ""]))
    assert shell.run(f"transcribe --corpus tiny --model {model}") == 0
    assert "1 heard now" in shell.out
    assert (path.parent / "manifest.csv").read_bytes() == whole
    path.write_text("[" * 100_000 + "\n" + "\n".join(lines[1:]))
    assert shell.run(f"transcribe --corpus tiny --model {model}") == 0
    assert "6 heard now" in shell.out


def test_a_language_that_the_model_does_not_hear_is_refused(model: Path) -> None:
    for language in ("fr", "klingon", ""):
        with pytest.raises(UsageError, match="does not hear it; give a code that it knows, en alone"):
            Recogniser(str(model), CPU, language)
    assert Recogniser(str(model), CPU, "English").about == Recogniser(str(model), CPU).about


@pytest.mark.parametrize("option", ["--language en", "--batch 3", "--device cpu"])
def test_what_hears_is_not_asked_for_with_a_table(tmp_path: Path, shell: Shell, option: str) -> None:
    small_corpus.make(tmp_path)
    (tmp_path / "asr.csv").write_text(TABLE)
    assert shell.run(f"transcribe --corpus tiny --from asr.csv {option}") == 2
    assert f"{option.split()[0]} does nothing with --from" in shell.err


def test_words_of_one_corpus_are_not_replaced_by_those_of_what_it_was_made_of(tmp_path: Path, shell: Shell) -> None:
    small_corpus.make(tmp_path)
    (tmp_path / "asr.csv").write_text(TABLE)
    assert shell.run("transcribe --corpus tiny --from asr.csv --name once") == 0
    assert shell.run("transcribe --corpus once --from asr.csv --name twice") == 0
    assert shell.run("transcribe --corpus tiny --from asr.csv --name twice") == 2
    assert "is another corpus" in shell.err
    assert shell.run("transcribe --corpus once --from asr.csv --name twice") == 0


def test_a_table_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "asr.csv").write_text("utterance_id,transcript,transcript\nu0,a,b\n")
    with pytest.raises(CorpusError, match="two columns are called transcript"):
        transcripts.read_csv(tmp_path / "asr.csv")
