"""The whole stage on tiny checkpoints of the real classes: MarianMT both ways, SpeechT5, HiFi-GAN, x-vectors."""

import json
from pathlib import Path

import pytest
import soundfile
import torch

from emocache import audio, manifest
from emocache.augment import translate
from emocache.augment.base import Voice
from emocache.augment.speecht5 import SpeechT5Synthesiser
from emocache.encoders import snapshot
from emocache.errors import AugmentationError, EncoderError
from tests import checkpoints, small_corpus
from tests.augment import tiny_models
from tests.augment.tiny_models import BACK, FORTH
from tests.augment.toy import loaded
from tests.shell import Shell

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all the models."""
    folder = tmp_path_factory.mktemp("models")
    tiny_models.marian(folder / "forth", FORTH)
    tiny_models.marian(folder / "back", BACK)
    tiny_models.speecht5(folder / "speecht5")
    tiny_models.hifigan(folder / "hifigan")
    checkpoints.xvector(folder / "xvector")
    return folder


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    """Of two utterances."""
    of = small_corpus.make(tmp_path, (0.5, 0.6))
    return Voice(speaker="s1", emotion="sad", utterances=tuple(audio.scan(of.utterances, of.audio_root)[0]), root=of.audio_root)


def synthesiser(models: Path, **other: str) -> SpeechT5Synthesiser:
    named = {"model": "speecht5", "vocoder": "hifigan", "speakers": "xvector"} | other
    return SpeechT5Synthesiser(**{part: str(models / name) for part, name in named.items()}, device=CPU)  # type: ignore[arg-type]


def test_the_whole_stage_runs_and_lists_what_degenerates(tmp_path: Path, shell: Shell, models: Path) -> None:
    of = small_corpus.make(tmp_path, (2.0, 2.0, 2.0, 2.0, 0.4, 2.0, 2.0))
    for number, text in enumerate([*FORTH, "i do not know", "i do not know " * 20]):
        of = small_corpus.changed(of, f"u{number}", transcript=text, emotion="sad")
    manifest.save(of, tmp_path / "data")
    parts = f"--tts-model {models / 'speecht5'} --vocoder {models / 'hifigan'} --speaker-model {models / 'xvector'} --device cpu"
    command = f"augment --forth {models / 'forth'} --back {models / 'back'} {parts} --json"
    assert shell.run(command) == 1
    done = json.loads(shell.out)
    assert (done["views"], done["how"]) == (3, "back-translated through de, SpeechT5")
    assert done["left_out"] == {
        "u2-view1": "its new text is the same as the source",
        "u3-view1": "its new text has 83 characters, over 3 times the 22 of the source",
        "u4-view1": "its new text is empty",
        "u6-view1": "it has 161 tokens for the translator, which takes 64",
    }
    views = {u.id: u for u in loaded(tmp_path).utterances if u.parent}
    assert {name: view.transcript for name, view in views.items()} == {
        "u0-view1": "i have no idea", "u1-view1": "kids talk", "u5-view1": "i have no idea",
    }  # fmt: skip
    spoken = {name: soundfile.read(view.path)[0].tobytes() for name, view in views.items()}
    assert len(set(spoken.values())) == 3
    assert shell.run("augment --remove") == 0
    assert shell.run(command) == 1
    assert {name: soundfile.read(view.path)[0].tobytes() for name, view in views.items()} == spoken


def test_batch_mates_change_no_translation(models: Path) -> None:
    made = translate.load("en", "de", str(models / "forth"), str(models / "back"), CPU)
    together = made.rewrite(list(FORTH))
    assert together == [made.rewrite([text])[0] for text in FORTH]
    assert made.rewrite([]) == []


def test_the_voice_and_the_seed_decide_what_is_heard(models: Path, voice: Voice) -> None:
    speaker = synthesiser(models)
    other = Voice(speaker="s2", emotion="sad", utterances=voice.utterances[:1], root=voice.root)
    first = speaker.speak("stay", voice, "en", 1)
    before = torch.get_rng_state()
    assert (speaker.speak("stay", voice, "en", 1) == first).all()
    assert (torch.get_rng_state() == before).all()
    assert not (speaker.speak("stay", voice, "en", 2) == first).all()
    assert not (speaker.speak("stay", other, "en", 1) == first).all()
    assert speaker.about == synthesiser(models).about


def test_a_voice_is_the_mean_of_its_x_vectors_of_length_one(models: Path, voice: Voice) -> None:
    speaker = synthesiser(models)
    rows = speaker._speakers.encode([audio.load_utterance(u, voice.root) for u in voice.utterances], (0,))
    mean = torch.stack([row[0, 0] / row[0, 0].norm() for row in rows]).mean(0)
    assert torch.allclose(speaker._embedding(voice), mean, atol=1e-6)


def test_a_text_that_speecht5_cannot_take_is_one_clear_reason(models: Path, voice: Voice) -> None:
    with pytest.raises(AugmentationError, match=r"its text has \d+ characters, and SpeechT5 takes 40"):
        synthesiser(models).speak("stay " * 20, voice, "en", 0)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model": "hifigan"}, "is of type 'speecht5_hifigan', expected 'speecht5'"),
        ({"vocoder": "speecht5"}, "expected 'hifigan' or 'speecht5_hifigan'"),
        ({"vocoder": "wide"}, "takes 9 mel bands, and .* gives 8"),
        ({"speakers": "ecapa"}, "gives utterance of 192, and .* takes one embedding of 512"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(models: Path, other: dict[str, str], message: str) -> None:
    if "wide" in other.values() and not (models / "wide").is_dir():
        tiny_models.hifigan(models / "wide", bands=9)
    if "ecapa" in other.values() and not (models / "ecapa").is_dir():
        checkpoints.ecapa(models / "ecapa")
    with pytest.raises(EncoderError, match=message):
        synthesiser(models, **other)


def test_a_vocoder_as_it_was_published_is_known(models: Path, tmp_path: Path) -> None:
    folder = tiny_models.hifigan(tmp_path / "published")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "hifigan"}))
    assert synthesiser(models, vocoder=str(folder)).name == "SpeechT5"


def test_what_is_no_marianmt_model_is_refused(models: Path) -> None:
    with pytest.raises(EncoderError, match="is of type 'speecht5', and no MarianMT model"):
        translate.Translator(str(models / "speecht5"), CPU)


def test_a_marianmt_model_without_its_vocabulary_is_refused(models: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "vocab.json", "source.spm"):
        (tmp_path / name).write_bytes((models / "forth" / name).read_bytes())
    with pytest.raises(EncoderError, match=r"target\.spm is missing"):
        translate.Translator(str(tmp_path), CPU)


def test_what_is_needed_of_these_models_is_fetched_and_known_to_be_whole(models: Path) -> None:
    for name, needed in (("forth", {"source.spm", "target.spm", "vocab.json", "generation_config.json"}), ("hifigan", {"config.json"})):
        files = [path.name for path in (models / name).iterdir()]
        assert needed <= set(snapshot.needed(files))
        assert snapshot.lacks(models / name) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
def test_a_gpu_translates_as_a_cpu_and_speaks_by_seed(models: Path, voice: Voice) -> None:
    cuda = torch.device("cuda")
    here, there = (translate.load("en", "de", str(models / "forth"), str(models / "back"), device) for device in (cuda, CPU))
    assert here.rewrite(list(FORTH)) == there.rewrite(list(FORTH))
    speaker = SpeechT5Synthesiser(*(str(models / name) for name in ("speecht5", "hifigan", "xvector")), cuda)
    first = speaker.speak("stay", voice, "en", 1)
    assert (speaker.speak("stay", voice, "en", 1) == first).all()
    assert not (speaker.speak("stay", voice, "en", 2) == first).all()
