"""What to cite for a head, and what a run rests on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import heads
from emocache.bibtex import Entry
from emocache.errors import UsageError
from heads import runfolder

FUSION = Entry(
    key="zhao2022multilevel",
    title="Multi-level Fusion of Wav2vec 2.0 and BERT for Multimodal Emotion Recognition",
    authors="Zhao, Zihan and Wang, Yanfeng and Wang, Yu",
    venue="Interspeech",
    year="2022",
    url="https://arxiv.org/abs/2207.04697",
)
MSTR = Entry(
    key="li2023mstr",
    title="Multi-Scale Temporal Transformer For Speech Emotion Recognition",
    authors="Li, Zhipeng and Xing, Xiaofen and Fang, Yuanbo and Zhang, Weibin and Fan, Hengsheng and Xu, Xiangmin",
    venue="Interspeech",
    year="2023",
    url="https://arxiv.org/abs/2410.00390",
)
TDFNET = Entry(
    key="zhao2023tdfnet",
    title="TDFNet: Transformer-Based Deep-Scale Fusion Network for Multimodal Emotion Recognition",
    authors="Zhao, Zhengdao and Wang, Yuhua and Shen, Guang and Xu, Yuezhu and Zhang, Jiayuan",
    venue="IEEE/ACM Transactions on Audio, Speech, and Language Processing",
    year="2023",
    url="https://doi.org/10.1109/TASLP.2023.3316458",
)
MMER = Entry(
    key="ghosh2023mmer",
    title="MMER: Multimodal Multi-task Learning for Speech Emotion Recognition",
    authors="Ghosh, Sreyan and Tyagi, Utkarsh and Ramaneswaran, S and Srivastava, Harshvardhan and Manocha, Dinesh",
    venue="Interspeech",
    year="2023",
    url="https://arxiv.org/abs/2203.16794",
)
EMOTIONNAS = Entry(
    key="sun2023emotionnas",
    title="EmotionNAS: Two-stream Architecture Search for Speech Emotion Recognition",
    authors=(
        "Sun, Haiyang and Lian, Zheng and Liu, Bin and Li, Ying and Sun, Licai and Cai, Cong and Tao, Jianhua and Wang, Meng"
        " and Cheng, Yuan"
    ),
    venue="Interspeech",
    year="2023",
    url="https://arxiv.org/abs/2203.13617",
)
PAPERS: Mapping[str, Entry] = {entry.url: entry for entry in (FUSION, MSTR, TDFNET, MMER, EMOTIONNAS)}
"""By the address that a head's PAPER gives."""


@dataclass(frozen=True, slots=True)
class Rests:
    """What a run rests on."""

    head: str
    corpus: str
    features: tuple[str, ...]


def entry(head: str) -> Entry:
    """The paper of a head; UsageError for one that there is not."""
    paper = heads.head(head).PAPER
    return PAPERS.get(paper.url) or Entry(key=head, title=paper.title, url=paper.url)


def of_run(folder: Path) -> Rests:
    """What the run in a folder rests on; UsageError when it is none."""
    try:
        about = json.loads((folder / runfolder.CONFIG).read_text(encoding="utf-8"))
        return Rests(str(about["head"]), str(about["corpus"]), tuple(str(one["encoder"]) for one in about["inputs"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder}: is no run of emocache ({error})") from None
