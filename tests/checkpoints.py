"""Tiny random checkpoints in the layout of the real ones: same convolutions and norms, few and narrow blocks."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import tokenizers
import tokenizers.processors
import torch
import yaml

from emocache.encoders.torchaudio_shim import make_torchaudio_importable

make_torchaudio_importable()

import transformers  # noqa: E402  # torchaudio must be importable first

CONV = {"conv_dim": [16] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
POSITIONS = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
GROUP_NORM = {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False}
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
DEBERTA: dict[str, Any] = {
    "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "position_buckets": 8, "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "i",
    "do",
    "not",
    "don",
    "'",
    "t",
    "know",
    "really",
    "##ly",
    "kids",
    "talk",
    "##ing",
    ",",
    "!",
]


def speech(folder: Path, kind: str = "hubert", norm: dict[str, object] = GROUP_NORM, *, normalise: bool = True, **more: object) -> Path:
    """HuBERT, wav2vec 2.0 or WavLM; group norm is the base kind, layer norm the large one."""
    names = {
        "hubert": "Hubert",
        "wav2vec2": "Wav2Vec2",
        "wavlm": "WavLM",
        "unispeech-sat": "UniSpeechSat",
        "data2vec-audio": "Data2VecAudio",
    }
    names |= {"wav2vec2-conformer": "Wav2Vec2Conformer", "unispeech": "UniSpeech"}
    torch.manual_seed(0)
    positions = {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 19} if kind == "data2vec-audio" else {}
    config = getattr(transformers, f"{names[kind]}Config")(**CONV, **SMALL, **{**POSITIONS, **positions}, **norm, **more)
    getattr(transformers, f"{names[kind]}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
    return folder


def whisper(folder: Path, *, window_s: int = 1, bands: int = 80) -> Path:
    """Whisper with a short window."""
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=50, d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=50 * window_s, max_target_positions=8,
        bos_token_id=1, eos_token_id=1, pad_token_id=1, decoder_start_token_id=2, suppress_tokens=None, begin_suppress_tokens=None,
        num_mel_bins=bands,
    )  # fmt: skip
    transformers.WhisperModel(config).save_pretrained(folder)
    transformers.WhisperFeatureExtractor(chunk_length=window_s, feature_size=bands).save_pretrained(folder)
    return folder


def bert(folder: Path, *, positions: int = 40) -> Path:
    """BERT with word pieces of a vocabulary of a few words."""
    pieces = tokenizers.BertWordPieceTokenizer({word: i for i, word in enumerate(WORDS)})
    specials = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), WORDS, strict=False))
    _save_tokenizer(pieces, folder, positions, specials)
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=positions, **SMALL)).save_pretrained(
        folder
    )
    return folder


def roberta(folder: Path, kind: str = "Roberta") -> Path:
    """RoBERTa or MPNet, whose positions begin behind the padding index, with byte-level tokens."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe = tokenizers.ByteLevelBPETokenizer(trim_offsets=True)
    bpe.train_from_iterator(["kids are talking by the door", "i do not know"], vocab_size=300, special_tokens=specials, show_progress=False)
    bpe.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    given: dict[str, Any] = {"model_input_names": ["input_ids", "attention_mask"]} if kind == "DistilBert" else {}
    _save_tokenizer(bpe, folder, 512, dict(zip(names, specials, strict=True)) | given)
    torch.manual_seed(0)
    more = DEBERTA if kind == "DebertaV2" else {}
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=bpe.get_vocab_size(), max_position_embeddings=34, pad_token_id=1, **SMALL, **more
    )
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return folder


SAYINGS = ("kids are talking by the door", "i do not know really", "don't you dare, kids!", "我 不 知道 你好", "я не знаю", "ไม่รู้")


def sentencepiece(folder: Path, kind: str = "XLMRoberta") -> Path:
    """XLM-R as the Hub has it, with a tokenizer.json of a unigram model, or DeBERTa-v3, with SentencePiece's own file alone."""
    rows = _unigram(folder) if kind == "XLMRoberta" else _spm(folder)
    torch.manual_seed(0)
    more = DEBERTA if kind == "DebertaV2" else {}
    config = getattr(transformers, f"{kind}Config")(vocab_size=rows, max_position_embeddings=66, pad_token_id=1, **SMALL, **more)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return folder


def _unigram(folder: Path) -> int:
    """A unigram tokenizer whose words begin with a mark for the space before them; the size of its vocabulary."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = tokenizers.Tokenizer(tokenizers.models.Unigram())
    split = [tokenizers.pre_tokenizers.WhitespaceSplit(), tokenizers.pre_tokenizers.Metaspace()]
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(split)
    trainer = tokenizers.trainers.UnigramTrainer(vocab_size=120, special_tokens=specials, unk_token="<unk>", show_progress=False)
    pieces.train_from_iterator(SAYINGS * 9, trainer)
    pieces.post_processor = tokenizers.processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces, model_max_length=64, **dict(zip(names, specials, strict=True))
    ).save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "XLMRobertaTokenizer"}))
    return int(pieces.get_vocab_size())


def _spm(folder: Path) -> int:
    """SentencePiece's own file, as DeBERTa-v3 has it; rows that a model needs for it."""
    import sentencepiece as library

    folder.mkdir(parents=True)
    model = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(SAYINGS * 9), model_writer=model, vocab_size=100, model_type="unigram", hard_vocab_limit=False,
        pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]", minloglevel=2,
    )  # fmt: skip
    (folder / "spm.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "vocab_type": "spm"}))
    return 128


def _save_tokenizer(pieces: Any, folder: Path, limit: int, specials: dict[str, Any]) -> None:
    """Save a tokenizer as every release of transformers reads it."""
    transformers.PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, model_max_length=limit, **specials).save_pretrained(folder)


def ecapa(folder: Path) -> Path:
    """ECAPA-TDNN at its real size, with random weights."""
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = ECAPA_TDNN(
        80, channels=[1024, 1024, 1024, 1024, 3072], kernel_sizes=[5, 3, 3, 3, 1], dilations=[1, 2, 3, 4, 1],
        attention_channels=128, lin_neurons=192,
    )  # fmt: skip
    torch.save(model.state_dict(), folder / "embedding_model.ckpt")
    return folder


WAV2VEC: dict[str, Any] = {
    "conv_feature_layers": "[(16, 10, 5), (16, 8, 4)] + [(16, 4, 2)] * 3 + [(16, 1, 1), (16, 1, 1)]",
    "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1), (16, 4, 1)]",
    "skip_connections_agg": True, "skip_connections_feat": False, "residual_scale": 0.5, "log_compression": True,
    "agg_zero_pad": False, "no_conv_bias": False, "non_affine_group_norm": False, "activation": "relu",
    "aggregator": "cnn", "vq_type": "none", "arch": "wav2vec", "lr": [0.005],
}  # fmt: skip
"""What a fairseq checkpoint of wav2vec 1.0 says of itself, beside much else."""


def wav2vec1(folder: Path, *, layout: str = "fairseq", **settings: object) -> Path:
    """wav2vec 1.0 with few channels and aggregator layers, as fairseq or s3prl write it."""
    torch.manual_seed(0)
    encoder, aggregator = ((10, 8, 4, 4, 4, 1, 1), (2, 3, 4))
    tensors = {"wav2vec_predictions.project_to_steps.weight": torch.randn(16, 16, 1, 12)}
    for i, kernel in enumerate(encoder):
        tensors[f"feature_extractor.conv_layers.{i}.0.weight"] = torch.randn(16, 16 if i else 1, kernel) / (16 * kernel) ** 0.5
        tensors |= {f"feature_extractor.conv_layers.{i}.2.{name}": torch.randn(16) for name in ("weight", "bias")}
    for i, kernel in enumerate(aggregator):
        tensors[f"feature_aggregator.conv_layers.{i}.1.weight"] = torch.randn(16, 16, kernel) / (16 * kernel) ** 0.5
        tensors |= {f"feature_aggregator.conv_layers.{i}.{name}": torch.randn(16) for name in ("1.bias", "3.weight", "3.bias")}
    said = {**WAV2VEC, **settings}
    state = {"args": argparse.Namespace(**said), "model": tensors, "optimizer_history": [{"num_updates": 3}], "extra_state": {"epoch": 1}}
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "fairseq":  # in torch's format of 2019
        torch.save(state, folder / "wav2vec_large.pt", _use_new_zipfile_serialization=False)
    else:
        torch.save({"task_cfg": {}, "model_cfg": said, "model_weight": tensors}, folder / "wav2vec_large.pt")
    return folder


def xvector(folder: Path) -> Path:
    """SpeechBrain's x-vectors at their real size, with random weights."""
    from speechbrain.lobes.models.Xvector import Xvector

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.save(Xvector(in_channels=24).state_dict(), folder / "embedding_model.ckpt")
    return folder


EMOTION2VEC: dict[str, Any] = {
    "embed_dim": 48, "num_heads": 6, "mlp_ratio": 2.0, "norm_eps": 1e-5, "normalize": True, "depth": 2,
    "modalities": {"audio": {
        "prenet_depth": 1, "num_extra_tokens": 3, "feature_encoder_spec": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16,2,2)] + [(16,2,2)]",
        "conv_pos_width": 15, "conv_pos_groups": 4, "conv_pos_depth": 3,
    }},
}  # fmt: skip
"""What a config.yaml of emotion2vec says, as far as it matters."""


def emotion2vec(folder: Path, *, prefix: str = "d2v_model.", **settings: object) -> Path:
    """emotion2vec with few blocks and channels, as FunASR's models have it."""
    torch.manual_seed(0)
    audio = "modality_encoders.AUDIO"
    tensors = {f"{audio}.extra_tokens": torch.randn(1, 3, 48), f"{audio}.alibi_scale": torch.randn(1, 1, 6, 1, 1)}
    tensors |= {"proj.weight": torch.randn(9, 48), f"{audio}.decoder.proj.weight": torch.randn(48, 8)}

    def linear(name: str, *shape: int, bias: bool = True) -> None:
        tensors[f"{name}.weight"] = torch.randn(*shape) / torch.tensor(shape[1:]).prod() ** 0.5
        tensors.update({f"{name}.bias": torch.randn(shape[0])} if bias else {})

    def norm(name: str, width: int) -> None:
        tensors.update({f"{name}.{part}": torch.randn(width) for part in ("weight", "bias")})

    for i, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        linear(f"{audio}.local_encoder.conv_layers.{i}.0", 16, 16 if i else 1, kernel, bias=False)
        norm(f"{audio}.local_encoder.conv_layers.{i}.2.1", 16)
    norm(f"{audio}.project_features.1", 16)
    linear(f"{audio}.project_features.2", 48, 16)
    for i in (1, 2, 3):
        linear(f"{audio}.relative_positional_encoder.{i}.0", 48, 12, 5)
    norm(f"{audio}.context_encoder.norm", 48)
    for block in (f"{audio}.context_encoder.blocks.0", "blocks.0", "blocks.1"):
        for name, *shape in (("attn.qkv", 144, 48), ("attn.proj", 48, 48), ("mlp.fc1", 96, 48), ("mlp.fc2", 48, 96)):
            linear(f"{block}.{name}", *shape)
        norm(f"{block}.norm1", 48)
        norm(f"{block}.norm2", 48)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": {prefix + name: tensor for name, tensor in tensors.items()}}, folder / "model.pt")
    config = yaml.safe_dump({"model": "Emotion2vec", "model_conf": {**EMOTION2VEC, **settings}})
    (folder / "config.yaml").write_text(config.replace("1.0e-05", "1e-05"))  # as the published one is written
    return folder


def hearing(folder: Path, *, window_s: int = 1) -> Path:
    """A whole Whisper that says words of its own: a byte-level vocabulary, the special tokens, and the settings of generation."""
    torch.manual_seed(0)
    bpe = tokenizers.ByteLevelBPETokenizer()
    bpe.train_from_iterator(["kids are talking by the door", "i do not know"], vocab_size=270, show_progress=False)
    specials = ["<|endoftext|>", "<|startoftranscript|>", "<|startofprev|>", "<|notimestamps|>"]
    bpe.add_special_tokens(specials)
    end, start, before, plain = (bpe.token_to_id(token) for token in specials)
    bpe.add_tokens([f"<|{0.02 * i:.2f}|>" for i in range(50 * window_s + 1)])
    names = {"bos_token": specials[0], "eos_token": specials[0], "pad_token": specials[0], "unk_token": specials[0]}
    _save_tokenizer(bpe, folder, 64, names)
    config = transformers.WhisperConfig(
        vocab_size=bpe.get_vocab_size(), d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=50 * window_s, max_target_positions=16,
        init_std=0.5, bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=start, suppress_tokens=None,
        begin_suppress_tokens=None,
    )  # fmt: skip
    transformers.WhisperForConditionalGeneration(config).save_pretrained(folder)
    transformers.GenerationConfig(
        bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=start, no_timestamps_token_id=plain,
        prev_sot_token_id=before, max_length=16, is_multilingual=False, return_timestamps=False,
    ).save_pretrained(folder)  # fmt: skip
    transformers.WhisperFeatureExtractor(chunk_length=window_s).save_pretrained(folder)
    return folder
