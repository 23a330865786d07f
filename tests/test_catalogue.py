"""The catalogue: facts that agree with each other and with transformers, shown, filtered, and warned by."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers

from emocache import encoders, languages, manifest
from emocache.corpora.prepare import prepare
from emocache.encoders import ENCODERS, EncoderSpec, hub, weights
from emocache.encoders.frames import conv_frames
from emocache.places import plain_name
from tests import checkpoints, small_corpus
from tests.corpora import trees
from tests.shell import Shell

CPU = torch.device("cpu")
WHISPER = {"tiny": (4, 384), "base": (6, 512), "small": (12, 768), "medium": (24, 1024), "large": (32, 1280)}
"""Layers and width, as in table 1 of the paper."""


@pytest.mark.parametrize(("name", "spec"), ENCODERS.items())
def test_every_row_says_what_a_user_must_know(name: str, spec: EncoderSpec) -> None:
    assert plain_name(name, "row") == name
    assert re.fullmatch(r"([\w.-]+/[\w.-]+)?", spec.repo)
    assert spec.revision == "main" or re.fullmatch(r"[0-9a-f]{40}", spec.revision)
    assert spec.licence
    assert spec.paper or name == "log-mel"
    assert 0 <= spec.hop <= spec.receptive
    assert isinstance(spec.languages, int) or all(languages.code(code) == code for code in spec.languages)


def test_no_repository_and_no_citation_key_stands_for_two_things() -> None:
    repos = [spec.repo for spec in ENCODERS.values() if spec.repo]
    assert len(set(repos)) == len(repos)
    papers = {spec.paper for spec in ENCODERS.values() if spec.paper}
    assert len({paper.key for paper in papers}) == len(papers)


BASES = ("hubert-base", "wav2vec2-base", "wavlm-base", "unispeech-sat-base", "data2vec-audio-base")
BASES += ("bert-base", "roberta-base", "xlm-roberta-base", "mpnet-base", "distilbert-base")


@pytest.mark.parametrize("name", BASES)
def test_base_rows_have_the_sizes_that_transformers_defaults_to(name: str) -> None:
    spec = ENCODERS[name]
    config = transformers.AutoConfig.for_model(spec.family)
    assert (config.num_hidden_layers, config.hidden_size) == (spec.layers, spec.width)
    if spec.hop:
        frames = [conv_frames(samples, config.conv_kernel, config.conv_stride) for samples in (399, 400, 719, 720)]
        assert frames == [0, 1, 1, 2]  # reach 400, hop 320


@pytest.mark.parametrize("name", [name for name in ENCODERS if name.startswith("whisper-")])
def test_whispers_have_the_sizes_of_their_paper(name: str) -> None:
    size = name.removeprefix("whisper-").removesuffix(".en").split("-")[0]
    assert (ENCODERS[name].layers, ENCODERS[name].width) == WHISPER[size]
    assert ENCODERS[name].languages == (("en",) if name.endswith(".en") else 100 if size == "large" and "v3" in name else 99)


def test_whisper_large_v3_s_128_mel_bands_are_those_of_its_checkpoint(tmp_path: Path) -> None:
    few, many = (encoders.load(encoders.find(str(checkpoints.whisper(tmp_path / str(n), bands=n))), CPU) for n in (80, 128))
    assert few.configuration != many.configuration
    assert many.encode([small_corpus.wave(1, 0.7)], (0, 2))[0].shape == (2, 35, 32)


def test_a_hub_id_that_has_a_row_is_checked_against_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoints.bert(tmp_path / "model")
    monkeypatch.setattr(hub, "from_hub", lambda *_: (folder, "0" * 40))
    assert weights.find("google-bert/bert-base-uncased@main").spec is ENCODERS["bert-base"]
    assert weights.find("google-bert/bert-base-unheard").spec is None


def test_the_name_that_a_model_has_elsewhere_leads_to_its_row() -> None:
    with pytest.raises(encoders.weights.EncoderError, match=r"did you mean bert-base \(google-bert/bert-base-uncased\)"):
        encoders.find("bert-base-uncased")


def test_the_table_has_every_encoder(shell: Shell) -> None:
    assert shell.run("encoders") == 0
    lines = shell.out.splitlines()
    assert lines[0].split() == ["name", "hub", "id", "family", "layers", "width", "hop", "languages", "licence", "here"]
    assert [line.split()[0] for line in lines[1:]] == list(ENCODERS)
    assert lines[1].split()[:2] == ["hubert-base", "facebook/hubert-base-ls960"]


def test_the_table_is_shown_without_loading_torch() -> None:
    code = "import sys\nfrom emocache.cli import main\ntry: main(['encoders'])\nfinally: assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("wavlm", {"wavlm-base", "wavlm-base-plus", "wavlm-large"}),
        ("whisper-tiny", {"whisper-tiny"}),
        ("FacebookAI/roberta-base", {"roberta-base"}),
        ("BY-NC", {"wav2vec2-msp-dim"}),
        ("klingon", set()),
        ("mandarin", {name for name, spec in ENCODERS.items() if isinstance(spec.languages, int) or "zh" in spec.languages}),
        ("de", {name for name, spec in ENCODERS.items() if isinstance(spec.languages, int)}),
    ],
)
def test_encoders_are_found_by_name_hub_id_licence_or_language(shell: Shell, asked: str, found: set[str]) -> None:
    assert shell.run(f"encoders --json {asked}") == (0 if found else 2)
    assert {row["name"] for row in json.loads(shell.out or "[]")} == found


def test_one_encoder_is_shown_with_its_citation(shell: Shell) -> None:
    assert shell.run("encoders hubert-xlarge") == 0
    for part in ("0-48", "1280 wide", "Masked Prediction of Hidden Units", "hsu2021hubert", "emocache fetch hubert-xlarge"):
        assert part in shell.out


def test_weights_that_are_here_are_said_to_be(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = hub.storage(ENCODERS["bert-base"].repo) / "snapshots" / ENCODERS["bert-base"].revision
    checkpoints.bert(folder)
    assert shell.run("encoders --json") == 0
    assert {row["name"]: row["path"] for row in json.loads(shell.out) if row["path"]} == {"bert-base": str(folder)}
    (folder / "tokenizer.json").unlink()
    assert shell.run("encoders bert-base") == 0
    assert "not here" in shell.out


@pytest.mark.parametrize(
    ("spelled", "code"),
    [
        ("en-US", "en"),
        ("EN_gb", "en"),
        ("English", "en"),
        ("deu", "de"),
        ("German (Austria)", "de"),
        ("cmn", "zh"),
        ("xx", "xx"),
        (" fa ", "fa"),
    ],
)
def test_a_language_is_known_however_it_is_spelled(spelled: str, code: str) -> None:
    assert languages.code(spelled) == code


@pytest.mark.parametrize(
    ("spoken", "known", "strangers"),
    [
        (["en", "English", None], ("en",), {}),
        (["de", "ger", "en"], ("en",), {"de": 2}),
        (["de"], 99, {}),
        (["de"], (), {}),
        ([None, None], ("en",), {}),
    ],
)
def test_utterances_in_a_language_that_an_encoder_does_not_know_are_counted(
    spoken: list[str | None], known: tuple[str, ...] | int, strangers: dict[str, int]
) -> None:
    assert languages.strangers(spoken, known) == strangers


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus in German, and a row for a tiny encoder of English."""
    corpus = small_corpus.make(tmp_path)
    manifest.save(replace(corpus, utterances=tuple(replace(u, language="deu") for u in corpus.utterances)), tmp_path / "data")
    folder = checkpoints.bert(tmp_path / "model")
    spec = EncoderSpec(repo="lab/tiny", family="bert", width=32, layers=3, licence="MIT", languages=("en",))
    monkeypatch.setattr(weights, "ENCODERS", {"tiny": spec, "many": replace(spec, languages=53)})
    monkeypatch.setattr(hub, "from_hub", lambda *_: (folder, "0" * 40))


def test_a_corpus_in_a_language_that_the_encoder_does_not_know_is_warned_about_and_encoded(shell: Shell, german: None) -> None:
    assert shell.run("extract --model tiny --device cpu") == 0
    assert "warning  the corpus speaks de 6 (utterances by language); tiny was trained on en" in shell.err
    assert "6 utterances encoded now" in shell.out
    assert shell.run("extract --model tiny --device cpu --json") == 0
    assert json.loads(shell.out)["warnings"] == ["the corpus speaks de 6 (utterances by language); tiny was trained on en"]


def test_an_encoder_of_many_languages_warns_about_none(shell: Shell, german: None) -> None:
    assert shell.run("extract --model many --device cpu --json") == 0
    assert "warning" not in shell.err
    assert json.loads(shell.out)["warnings"] == []


def test_a_prepared_corpus_says_its_language_in_every_row(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path / "root", {"Ses01F_impro01_F000": "neu"})
    corpus = prepare("iemocap", root, data=tmp_path / "data").corpus
    assert {utterance.language for utterance in corpus.utterances} == {"en"}


def test_texts_that_were_cut_are_counted_and_listed(shell: Shell, tmp_path: Path) -> None:
    texts = ["know " * 30, "know " * 40, "kids", "", "i do", "not"]
    corpus = small_corpus.make(tmp_path)
    utterances = tuple(replace(u, transcript=text or None) for u, text in zip(corpus.utterances, texts, strict=True))
    manifest.save(replace(corpus, utterances=utterances), tmp_path / "data")
    checkpoints.bert(tmp_path / "model", positions=12)
    assert shell.run("extract --model ./model --device cpu") == 0
    for line in ("2 utterances, first u0: text cut from 32 to 12 tokens", "1 utterances, first u3: no transcript"):
        assert f"note     {line}" in shell.err
        assert f"note: {line}" in shell.err
    assert shell.run("extract --model ./model --device cpu --json") == 0
    assert set(json.loads(shell.out)["notes"]) == {"u0", "u1", "u3"}
