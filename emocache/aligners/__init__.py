"""Forced aligners: from an utterance's audio and transcript to when each word, syllable and phone was spoken.

words.py          a transcript as the words that were said
pocketsphinx.py   words, syllables and phones of English; the model comes in a wheel
ctc.py            words, by any CTC model of transformers
run.py            a whole corpus through an aligner, resumable
"""
