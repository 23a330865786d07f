"""EmotionNAS (Sun et al. 2023): cells that are searched for, on spectrograms and on frames.

genotype.py       a convolutional cell: what DARTS finds, decoded from its weights, published text forms
cellfile.py       the JSON file of a searched cell of either kind, with how it was found
operations.py     the operations of the DARTS space as modules, for a derived network
fan.py            the same for all edges that leave a state together, for the search
supernet.py       the network of the search, and its two tables of architecture weights
derived.py        the network of a genotype
gradients.py      gradients of the architecture weights: first order, second order, second order exact
search.py         the two-level learner
images.py         cached rows as images of one size
drawing.py        a genotype as a picture
recipe.py         a recurrent cell: the language of NAS-Bench-NLP, checked
sampling.py       random recurrent cells, by the rules of NAS-Bench-NLP
recurrence.py     a layer of any recurrent cell: forward and backward through time
products.py       its matrix products
recurrent.py      the network of a recurrent cell
fusion.py         the small network on what both branches say
baselines.py      the networks made by hand that the paper compares with
"""

from heads.config import Paper

PAPER = Paper(
    title="EmotionNAS: Two-stream Architecture Search for Speech Emotion Recognition",
    url="https://arxiv.org/abs/2203.13617",
    protocol="IEMOCAP, improvised, 4 classes (excited apart), 2280 utterances; of a session one person validates and the other is tested",
    splits=("emotionnas", "emotionnas-swap", "emotionnas-both"),
    reported={"spectrogram": 63.5, "wav2vec": 70.3, "fusion": 72.8},
)
