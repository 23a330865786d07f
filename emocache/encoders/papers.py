"""What to cite for each encoder."""

from dataclasses import dataclass

from emocache.bibtex import Entry


@dataclass(frozen=True, slots=True)
class Paper:
    """Key (first author, year and a word), title, where it appeared, and its authors as BibTeX takes them."""

    key: str
    title: str
    venue: str
    authors: str

    def __str__(self) -> str:
        """One line to cite."""
        return f"{self.title}. {self.venue} [{self.key}]"

    @property
    def entry(self) -> Entry:
        """The same for a bibliography."""
        year = "".join(letter for letter in self.key if letter.isdecimal())[:4]
        return Entry(key=self.key, title=self.title, authors=self.authors, venue=self.venue, year=year)


HUBERT = Paper(
    "hsu2021hubert",
    "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units",
    "IEEE/ACM TASLP 29, 2021",
    "Hsu, Wei-Ning and others",
)
WAV2VEC2 = Paper(
    "baevski2020wav2vec2",
    "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations",
    "NeurIPS 2020",
    "Baevski, Alexei and others",
)
ROBUST = Paper(
    "hsu2021robust",
    "Robust wav2vec 2.0: Analyzing Domain Shift in Self-Supervised Pre-Training",
    "Interspeech 2021",
    "Hsu, Wei-Ning and others",
)
SELF_TRAINING = Paper(
    "xu2021self",
    "Self-training and Pre-training are Complementary for Speech Recognition",
    "ICASSP 2021",
    "Xu, Qiantong and others",
)
XLSR = Paper(
    "conneau2021xlsr",
    "Unsupervised Cross-lingual Representation Learning for Speech Recognition",
    "Interspeech 2021",
    "Conneau, Alexis and others",
)
XLS_R = Paper(
    "babu2022xlsr",
    "XLS-R: Self-supervised Cross-lingual Speech Representation Learning at Scale",
    "Interspeech 2022",
    "Babu, Arun and others",
)
DAWN = Paper(
    "wagner2023dawn",
    "Dawn of the Transformer Era in Speech Emotion Recognition: Closing the Valence Gap",
    "IEEE TPAMI 45(9), 2023",
    "Wagner, Johannes and others",
)
WAVLM = Paper(
    "chen2022wavlm",
    "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing",
    "IEEE JSTSP 16(6), 2022",
    "Chen, Sanyuan and others",
)
UNISPEECH_SAT = Paper(
    "chen2022unispeechsat",
    "UniSpeech-SAT: Universal Speech Representation Learning with Speaker Aware Pre-Training",
    "ICASSP 2022",
    "Chen, Sanyuan and others",
)
DATA2VEC = Paper(
    "baevski2022data2vec",
    "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language",
    "ICML 2022",
    "Baevski, Alexei and others",
)
WHISPER = Paper(
    "radford2023whisper",
    "Robust Speech Recognition via Large-Scale Weak Supervision",
    "ICML 2023",
    "Radford, Alec and others",
)
ECAPA = Paper(
    "desplanques2020ecapa",
    "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation in TDNN Based Speaker Verification",
    "Interspeech 2020",
    "Desplanques, Brecht and Thienpondt, Jenthe and Demuynck, Kris",
)
XVECTOR = Paper(
    "snyder2018xvectors",
    "X-Vectors: Robust DNN Embeddings for Speaker Recognition",
    "ICASSP 2018",
    "Snyder, David and others",
)
WAV2VEC = Paper(
    "schneider2019wav2vec",
    "wav2vec: Unsupervised Pre-training for Speech Recognition",
    "Interspeech 2019",
    "Schneider, Steffen and others",
)
EMOTION2VEC = Paper(
    "ma2024emotion2vec",
    "emotion2vec: Self-Supervised Pre-Training for Speech Emotion Representation",
    "Findings of ACL 2024",
    "Ma, Ziyang and others",
)
EMOTIONNAS = Paper(
    "sun2023emotionnas",
    "EmotionNAS: Two-stream Architecture Search for Speech Emotion Recognition",
    "Interspeech 2023",
    "Sun, Haiyang and others",
)
GEMAPS = Paper(
    "eyben2016gemaps",
    "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for Voice Research and Affective Computing",
    "IEEE TAC 7(2), 2016",
    "Eyben, Florian and others",
)
BERT = Paper(
    "devlin2019bert",
    "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    "NAACL-HLT 2019",
    "Devlin, Jacob and Chang, Ming-Wei and Lee, Kenton and Toutanova, Kristina",
)
WHOLE_WORDS = Paper(
    "cui2021wwm",
    "Pre-Training With Whole Word Masking for Chinese BERT",
    "IEEE/ACM TASLP 29, 2021",
    "Cui, Yiming and others",
)
DISTILBERT = Paper(
    "sanh2019distilbert",
    "DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter",
    "arXiv 1910.01108",
    "Sanh, Victor and Debut, Lysandre and Chaumond, Julien and Wolf, Thomas",
)
ROBERTA = Paper(
    "liu2019roberta",
    "RoBERTa: A Robustly Optimized BERT Pretraining Approach",
    "arXiv 1907.11692",
    "Liu, Yinhan and others",
)
XLM_R = Paper(
    "conneau2020xlmr",
    "Unsupervised Cross-lingual Representation Learning at Scale",
    "ACL 2020",
    "Conneau, Alexis and others",
)
DEBERTA_V3 = Paper(
    "he2023debertav3",
    "DeBERTaV3: Improving DeBERTa using ELECTRA-Style Pre-Training with Gradient-Disentangled Embedding Sharing",
    "ICLR 2023",
    "He, Pengcheng and Gao, Jianfeng and Chen, Weizhu",
)
MPNET = Paper(
    "song2020mpnet",
    "MPNet: Masked and Permuted Pre-training for Language Understanding",
    "NeurIPS 2020",
    "Song, Kaitao and others",
)
MINILM = Paper(
    "wang2020minilm",
    "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers",
    "NeurIPS 2020",
    "Wang, Wenhui and others",
)
SENTENCE_BERT = Paper(
    "reimers2019sbert",
    "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
    "EMNLP-IJCNLP 2019",
    "Reimers, Nils and Gurevych, Iryna",
)
SENTENCE_BERT_MANY = Paper(
    "reimers2020multilingual",
    "Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation",
    "EMNLP 2020",
    "Reimers, Nils and Gurevych, Iryna",
)
