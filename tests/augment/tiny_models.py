"""Tiny checkpoints of the classes that views are made with: MarianMT that has learnt a few sentences by heart, SpeechT5, HiFi-GAN."""

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import sentencepiece
import torch

from tests import checkpoints  # which makes transformers importable

transformers = checkpoints.transformers

FORTH = {
    "i do not know": "ich weiss es nicht",
    "kids talking, really!": "kinder reden",
    "i don't": "ich nicht",
    "say it again and again": "noch einmal",
    "stay": "bleib",
}
BACK = {
    "ich weiss es nicht": "i have no idea",
    "kinder reden": "kids talk",
    "ich nicht": "I don't.",
    "noch einmal": "again " * 14,
    "bleib": "",
}
"""'i don't' comes back as it was, 'say it again and again' goes on and on, 'stay' is lost."""


def marian(folder: Path, pairs: Mapping[str, str]) -> Path:
    """MarianMT that translates these texts, and nothing else."""
    folder.mkdir(parents=True)
    texts = [*FORTH, *FORTH.values(), *BACK.values()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 3), model_writer=model, vocab_size=60, model_type="bpe", hard_vocab_limit=False,
        unk_id=0, bos_id=-1, eos_id=-1, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(model.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    names = ["</s>", "<unk>", *(pieces.id_to_piece(i) for i in range(1, pieces.get_piece_size())), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MarianTokenizer", "model_max_length": 64}))
    torch.manual_seed(0)
    config = transformers.MarianConfig(
        vocab_size=len(names), d_model=48, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64, pad_token_id=len(names) - 1, eos_token_id=0,
        decoder_start_token_id=len(names) - 1, forced_eos_token_id=None, dropout=0.0, bos_token_id=0,
    )  # fmt: skip
    model_ = transformers.MarianMTModel(config)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*sacremoses")
        tokenizer = transformers.MarianTokenizer.from_pretrained(folder)
    _learn(model_, tokenizer, pairs)
    model_.generation_config.update(max_length=60, num_beams=2, bad_words_ids=[[len(names) - 1]])
    model_.save_pretrained(folder)
    return folder


def _learn(model: torch.nn.Module, tokenizer: "transformers.MarianTokenizer", pairs: Mapping[str, str]) -> None:
    """Learn translations by heart."""
    given = tokenizer(list(pairs), text_target=list(pairs.values()), return_tensors="pt", padding=True)
    given["labels"][given["labels"] == tokenizer.pad_token_id] = -100
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        optimiser.zero_grad()
        loss = model(**given).loss
        loss.backward()
        optimiser.step()
        if loss < 0.03:
            return


def speecht5(folder: Path, *, embedding: int = 512) -> Path:
    """SpeechT5 that speaks 0.16 s for each character (HiFi-GAN makes 16 ms of a frame): it never stops before it must."""
    folder.mkdir(parents=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*FORTH, *BACK.values(), "abcdefghijklmnopqrstuvwxyz .,!?"] * 3), model_writer=model, vocab_size=60,
        model_type="char", hard_vocab_limit=False, bos_id=0, pad_id=1, eos_id=2, unk_id=3, minloglevel=2,
    )  # fmt: skip
    (folder / "spm_char.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "SpeechT5Tokenizer"}))
    torch.manual_seed(0)
    config = transformers.SpeechT5Config(
        vocab_size=81, hidden_size=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32, decoder_layers=1,
        decoder_ffn_dim=32, decoder_attention_heads=2, num_mel_bins=8, speech_decoder_prenet_units=16, speaker_embedding_dim=embedding,
        speech_decoder_postnet_layers=2, speech_decoder_postnet_units=16, max_text_positions=40, reduction_factor=2,
        conv_dim=(8,) * 7,
    )  # fmt: skip
    made = transformers.SpeechT5ForTextToSpeech(config)
    torch.nn.init.zeros_(made.speech_decoder_postnet.prob_out.weight)
    torch.nn.init.constant_(made.speech_decoder_postnet.prob_out.bias, -9.0)
    made.save_pretrained(folder)
    return folder


def hifigan(folder: Path, *, bands: int = 8) -> Path:
    """HiFi-GAN with few channels."""
    torch.manual_seed(0)
    config = transformers.SpeechT5HifiGanConfig(
        model_in_dim=bands, upsample_initial_channel=16, upsample_rates=(16, 16), upsample_kernel_sizes=(32, 32),
        resblock_kernel_sizes=(3,), resblock_dilation_sizes=((1,),), initializer_range=0.3,
    )  # fmt: skip
    transformers.SpeechT5HifiGan(config).save_pretrained(folder)
    return folder
