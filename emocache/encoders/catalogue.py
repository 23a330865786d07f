"""The encoders by name: facts that are known before anything is loaded.

A revision is pinned where its commit is known for sure: it stands on the Hub's own pages, or in several people's caches.
Elsewhere it is 'main', whatever that is on the day; what was used is in the key all the same, by the digest of the weights.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emocache.encoders import papers
from emocache.encoders.papers import Paper

Languages = tuple[str, ...] | int


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSpec:
    """One checkpoint: where it is, and what a loaded model is checked against.

    `repo` is empty where there are no weights: such features are computed from samples alone. `file` is the one that is
    wanted of a repo with many models. `family` is transformers' model type or the name of another architecture, `width` the
    dimension of a row, `layers` the number of blocks (layers 0..layers are cached), `hop` and `receptive` are the step and
    the reach of a frame in samples at 16 kHz
    (0 where there are no frames). `languages` are the ISO 639-1 codes it was trained on, or how many where they are many;
    none where that says nothing of it.
    """

    repo: str
    family: str
    width: int
    layers: int
    licence: str
    revision: str = "main"
    file: str = ""
    hop: int = 0
    receptive: int = 0
    languages: Languages = ()
    paper: Paper | None = None


MAIN = "main"
EN, ZH = ("en",), ("zh",)
APACHE, MIT = "Apache-2.0", "MIT"
UNISPEECH = "CC BY-SA 3.0"
"""Of the repository microsoft/UniSpeech, to which the pages of WavLM and UniSpeech-SAT point for their licence."""
BASE, LARGE, XLARGE = (768, 12), (1024, 24), (1280, 48)
"""Width and number of blocks."""
Rows = Mapping[str, tuple[str, tuple[int, int], str]]
"""Name -> hub id, size, revision."""


def _speech(
    family: str, paper: Paper, rows: Rows, *, licence: str = APACHE, languages: Languages = EN
) -> Iterator[tuple[str, EncoderSpec]]:
    """Encoders whose convolutions give a frame of 25 ms every 20 ms."""
    for name, (repo, (width, layers), revision) in rows.items():
        yield name, EncoderSpec(
            repo=repo, revision=revision, family=family, width=width, layers=layers, licence=licence, languages=languages, paper=paper,
            hop=320, receptive=400,
        )  # fmt: skip


def _whisper(rows: Rows) -> Iterator[tuple[str, EncoderSpec]]:
    """Whisper: 25 ms log-mel windows every 10 ms, then two convolutions of 3, the second with stride 2."""
    for name, (repo, (width, layers), revision) in rows.items():
        yield name, EncoderSpec(
            repo=repo, revision=revision, family="whisper", width=width, layers=layers, licence="MIT (OpenAI), Apache-2.0 (Hub)",
            languages=EN if name.endswith(".en") else 100 if "large-v3" in name else 99,
            paper=papers.WHISPER, hop=320, receptive=400 + 4 * 160,
        )  # fmt: skip


def _text(family: str, paper: Paper, licence: str, rows: Rows, *, languages: Languages = EN) -> Iterator[tuple[str, EncoderSpec]]:
    """Text encoders."""
    for name, (repo, (width, layers), revision) in rows.items():
        yield (
            name,
            EncoderSpec(
                repo=repo, revision=revision, family=family, width=width, layers=layers, licence=licence, languages=languages, paper=paper
            ),
        )


def _emotion2vec(rows: Rows, *, languages: Languages = ()) -> Iterator[tuple[str, EncoderSpec]]:
    """emotion2vec: a prenet of 4 blocks and 8 more, frames as those of speech encoders."""
    return _speech("emotion2vec", papers.EMOTION2VEC, rows, licence="FunASR model licence", languages=languages)


def _computed(
    name: str, width: int, paper: Paper | None = None, *, hop: int = 0, receptive: int = 0, licence: str = "none needed"
) -> tuple[str, EncoderSpec]:
    """Features of samples alone; the family is the name."""
    return name, EncoderSpec(repo="", family=name, width=width, layers=0, licence=licence, hop=hop, receptive=receptive, paper=paper)


OPENSMILE = "openSMILE's (not commercial)"
"""Of openSMILE itself: research and other use that is not commercial."""

ENCODERS: Mapping[str, EncoderSpec] = dict([
    *_speech("hubert", papers.HUBERT, {
        "hubert-base": ("facebook/hubert-base-ls960", BASE, "dba3bb02fda4248b6e082697eee756de8fe8aa8a"),
        "hubert-large": ("facebook/hubert-large-ll60k", LARGE, "ff022d095678a2995f3c49bab18a96a9e553f782"),
        "hubert-xlarge": ("facebook/hubert-xlarge-ll60k", XLARGE, "b0cef767123fe004883915a053f538f1737a1e47"),
        "hubert-large-ls960-ft": ("facebook/hubert-large-ls960-ft", LARGE, "ece5fabbf034c1073acae96d5401b25be96709d8"),
    }),
    *_speech("hubert", papers.HUBERT, {
        "chinese-hubert-base": ("TencentGameMate/chinese-hubert-base", BASE, "fce0375452b1dd6c080ac3248d423d4d037bc831"),
        "chinese-hubert-large": ("TencentGameMate/chinese-hubert-large", LARGE, "90cb660492214f687e60f5ca509b20edae6e75bd"),
    }, licence=MIT, languages=ZH),
    *_speech("wav2vec2", papers.WAV2VEC2, {
        "wav2vec2-base": ("facebook/wav2vec2-base", BASE, "0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8"),
        "wav2vec2-large": ("facebook/wav2vec2-large-lv60", LARGE, "0cde644b64dac88d8416bec1c92a4099b850ba0b"),
        "wav2vec2-large-ls960": ("facebook/wav2vec2-large", LARGE, "312b2410566b698c7a649068d413b2067848bd75"),
        "wav2vec2-base-960h": ("facebook/wav2vec2-base-960h", BASE, "22aad52d435eb6dbaf354bdad9b0da84ce7d6156"),
        "wav2vec2-large-960h": ("facebook/wav2vec2-large-960h", LARGE, MAIN),
        "wav2vec2-large-960h-lv60": ("facebook/wav2vec2-large-960h-lv60", LARGE, "976e11d089d9fe729e132ebc3730e4995fcfb1b4"),
    }),
    *_speech("wav2vec2", papers.SELF_TRAINING, {
        "wav2vec2-large-960h-lv60-self": ("facebook/wav2vec2-large-960h-lv60-self", LARGE, "54074b1c16f4de6a5ad59affb4caa8f2ea03a119"),
    }),
    *_speech("wav2vec2", papers.ROBUST, {
        "wav2vec2-large-robust": ("facebook/wav2vec2-large-robust", LARGE, "b0f1fc09a26486a009ebd4afaddb69c4cd6f0882"),
        "wav2vec2-large-robust-ft-libri-960h": ("facebook/wav2vec2-large-robust-ft-libri-960h", LARGE, MAIN),
        "wav2vec2-large-robust-ft-swbd-300h": ("facebook/wav2vec2-large-robust-ft-swbd-300h", LARGE, MAIN),
    }),
    *_speech("wav2vec2", papers.DAWN, {  # trained on the labels of MSP-Podcast
        "wav2vec2-msp-dim": (
            "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", (1024, 12), "6eba34a2485ea31cb03600241787c3a5edab8626",
        ),
    }, licence="CC BY-NC-SA 4.0"),
    *_speech("wav2vec2", papers.XLSR, {
        "xlsr-53": ("facebook/wav2vec2-large-xlsr-53", LARGE, "c3f9d884181a224a6ac87bf8885c84d1cff3384f"),
    }, languages=53),
    *_speech("wav2vec2", papers.XLS_R, {
        "xls-r-300m": ("facebook/wav2vec2-xls-r-300m", LARGE, "1a640f32ac3e39899438a2931f9924c02f080a54"),
        "xls-r-1b": ("facebook/wav2vec2-xls-r-1b", XLARGE, MAIN),
    }, languages=128),
    *_speech("wavlm", papers.WAVLM, {
        "wavlm-base": ("microsoft/wavlm-base", BASE, "efa81aae7ff777e464159e0f877d54eac5b84f81"),
        "wavlm-base-plus": ("microsoft/wavlm-base-plus", BASE, "4c66d4806a428f2e922ccfa1a962776e232d487b"),
        "wavlm-large": ("microsoft/wavlm-large", LARGE, "c1423ed94bb01d80a3f5ce5bc39f6026a0f4828c"),
    }, licence=UNISPEECH),
    *_speech("unispeech-sat", papers.UNISPEECH_SAT, {
        "unispeech-sat-base": ("microsoft/unispeech-sat-base", BASE, MAIN),
        "unispeech-sat-base-plus": ("microsoft/unispeech-sat-base-plus", BASE, "7dadb0a206aab8a34bf0af9c5bed3403c4fd8a0c"),
        "unispeech-sat-large": ("microsoft/unispeech-sat-large", LARGE, MAIN),
    }, licence=UNISPEECH),
    *_speech("data2vec-audio", papers.DATA2VEC, {
        "data2vec-audio-base": ("facebook/data2vec-audio-base", BASE, MAIN),
        "data2vec-audio-large": ("facebook/data2vec-audio-large", LARGE, "8aebfda61f5749e532f5577d176072ea38a6b349"),
    }),
    *_whisper({
        "whisper-tiny": ("openai/whisper-tiny", (384, 4), "169d4a4341b33bc18d8881c4b69c2e104e1cc0af"),
        "whisper-tiny.en": ("openai/whisper-tiny.en", (384, 4), "87c7102498dcde7456f24cfd30239ca606ed9063"),
        "whisper-base": ("openai/whisper-base", (512, 6), "e37978b90ca9030d5170a5c07aadb050351a65bb"),
        "whisper-base.en": ("openai/whisper-base.en", (512, 6), "911407f4214e0e1d82085af863093ec0b66f9cd6"),
        "whisper-small": ("openai/whisper-small", (768, 12), "973afd24965f72e36ca33b3055d56a652f456b4d"),
        "whisper-small.en": ("openai/whisper-small.en", (768, 12), MAIN),
        "whisper-medium": ("openai/whisper-medium", (1024, 24), "abdf7c39ab9d0397620ccaea8974cc764cd0953e"),
        "whisper-medium.en": ("openai/whisper-medium.en", (1024, 24), MAIN),
        "whisper-large": ("openai/whisper-large", (1280, 32), MAIN),
        "whisper-large-v2": ("openai/whisper-large-v2", (1280, 32), "ae4642769ce2ad8fc292556ccea8e901f1530655"),
        "whisper-large-v3": ("openai/whisper-large-v3", (1280, 32), "06f233fe06e710322aca913c1bc4249a0d71fce1"),
        "whisper-large-v3-turbo": ("openai/whisper-large-v3-turbo", (1280, 32), "41f01f3fe87f28c78e2fbf8b568835947dd65ed9"),
    }),
    *_text("bert", papers.BERT, APACHE, {
        "bert-base": ("google-bert/bert-base-uncased", BASE, "86b5e0934494bd15c9632b12f734a8a67f723594"),
        "bert-base-cased": ("google-bert/bert-base-cased", BASE, "cd5ef92a9fb2f889e972770a36d4ed042daf221e"),
        "bert-large": ("google-bert/bert-large-uncased", LARGE, "6da4b6a26a1877e173fca3225479512db81a5e5b"),
        "bert-large-cased": ("google-bert/bert-large-cased", LARGE, MAIN),
    }),
    *_text("bert", papers.BERT, APACHE, {
        "bert-base-multilingual": ("google-bert/bert-base-multilingual-cased", BASE, "3f076fdb1ab68d5b2880cb87a0886f315b8146f8"),
    }, languages=104),
    *_text("bert", papers.BERT, APACHE, {
        "bert-base-chinese": ("google-bert/bert-base-chinese", BASE, "8f23c25b06e129b6c986331a13d8d025a92cf0ea"),
    }, languages=ZH),
    *_text("bert", papers.WHOLE_WORDS, APACHE, {
        "chinese-roberta-wwm-ext": ("hfl/chinese-roberta-wwm-ext", BASE, "5c58d0b8ec1d9014354d691c538661bf00bfdb44"),
        "chinese-roberta-wwm-ext-large": ("hfl/chinese-roberta-wwm-ext-large", LARGE, MAIN),
    }, languages=ZH),
    *_text("distilbert", papers.DISTILBERT, APACHE, {
        "distilbert-base": ("distilbert/distilbert-base-uncased", (768, 6), "12040accade4e8a0f71eabdb258fecc2e7e948be"),
    }),
    *_text("roberta", papers.ROBERTA, MIT, {
        "roberta-base": ("FacebookAI/roberta-base", BASE, "e2da8e2f811d1448a5b465c236feacd80ffbac7b"),
        "roberta-large": ("FacebookAI/roberta-large", LARGE, "722cf37b1afa9454edce342e7895e588b6ff1d59"),
    }),
    *_text("xlm-roberta", papers.XLM_R, MIT, {
        "xlm-roberta-base": ("FacebookAI/xlm-roberta-base", BASE, "e73636d4f797dec63c3081bb6ed5c7b0bb3f2089"),
        "xlm-roberta-large": ("FacebookAI/xlm-roberta-large", LARGE, "c23d21b0620b635a76227c604d44e43a9f0ee389"),
    }, languages=100),
    *_text("deberta-v2", papers.DEBERTA_V3, MIT, {  # DeBERTa v3 has the model type of v2
        "deberta-v3-small": ("microsoft/deberta-v3-small", (768, 6), MAIN),
        "deberta-v3-base": ("microsoft/deberta-v3-base", BASE, "8ccc9b6f36199bec6961081d44eb72fb3f7353f3"),
        "deberta-v3-large": ("microsoft/deberta-v3-large", LARGE, "64a8c8eab3e352a784c658aef62be1662607476f"),
    }),
    *_text("deberta-v2", papers.DEBERTA_V3, MIT, {
        "mdeberta-v3-base": ("microsoft/mdeberta-v3-base", BASE, MAIN),
    }, languages=100),
    *_text("mpnet", papers.MPNET, "MIT (its repository; none on the Hub)", {
        "mpnet-base": ("microsoft/mpnet-base", BASE, MAIN),
    }),
    *_text("mpnet", papers.SENTENCE_BERT, APACHE, {
        "all-mpnet-base-v2": ("sentence-transformers/all-mpnet-base-v2", BASE, "e8c3b32edf5434bc2275fc9bab85f82640a19130"),
    }),
    *_text("bert", papers.MINILM, MIT, {
        "minilm-l12": ("microsoft/MiniLM-L12-H384-uncased", (384, 12), MAIN),
    }),
    *_text("bert", papers.SENTENCE_BERT, APACHE, {
        "all-minilm-l6-v2": ("sentence-transformers/all-MiniLM-L6-v2", (384, 6), "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"),
        "all-minilm-l12-v2": ("sentence-transformers/all-MiniLM-L12-v2", (384, 12), "c004d8e3e901237d8fa7e9fff12774962e391ce5"),
    }),
    *_text("bert", papers.SENTENCE_BERT_MANY, APACHE, {
        "paraphrase-multilingual-minilm-l12-v2": (
            "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", (384, 12), "e8f8c211226b894fcb81acc59f3b34ba3efd5f42",
        ),
    }, languages=50),
    *_text("xlm-roberta", papers.SENTENCE_BERT_MANY, APACHE, {
        "paraphrase-multilingual-mpnet-base-v2": (
            "sentence-transformers/paraphrase-multilingual-mpnet-base-v2", BASE, "4328cf26390c98c5e3c738b4460a05b95f4911f5",
        ),
    }, languages=50),
    ("ecapa", EncoderSpec(
        repo="speechbrain/spkrec-ecapa-voxceleb", revision="0f99f2d0ebe89ac095bcc5903c4dd8f72b367286", family="ecapa",
        width=192, layers=0, licence=APACHE, languages=EN, paper=papers.ECAPA,
    )),
    ("xvector", EncoderSpec(
        repo="speechbrain/spkrec-xvect-voxceleb", family="xvector", width=512, layers=0, licence=APACHE, languages=EN, paper=papers.XVECTOR,
    )),
    ("wav2vec1-large", EncoderSpec(
        repo="s3prl/converted_ckpts", file="wav2vec_large.pt", family="wav2vec", width=512, layers=1, licence=MIT, languages=EN,
        paper=papers.WAV2VEC, hop=160, receptive=465,
    )),
    *_emotion2vec({"emotion2vec-base": ("emotion2vec/emotion2vec_base", BASE, MAIN)}, languages=EN),
    *_emotion2vec({
        "emotion2vec-plus-seed": ("emotion2vec/emotion2vec_plus_seed", BASE, MAIN),
        "emotion2vec-plus-base": ("emotion2vec/emotion2vec_plus_base", BASE, MAIN),
        "emotion2vec-plus-large": ("emotion2vec/emotion2vec_plus_large", (1024, 12), MAIN),
    }),
    _computed("log-mel", 80, hop=160, receptive=400),
    _computed("spectrogram-140", 140, papers.EMOTIONNAS, hop=915, receptive=1280),
    _computed("spectrogram-140-mel", 140, papers.EMOTIONNAS, hop=915, receptive=1280),
    _computed("egemaps", 88, papers.GEMAPS, licence=OPENSMILE),
    _computed("egemaps-lld", 25, papers.GEMAPS, hop=160, receptive=1280, licence=OPENSMILE),
])  # fmt: skip
