"""Augmented views of utterances: the same said in other words (back-translation), in another speaker's voice, or both.

What Ghosh et al. 2023 (MMER, section 3.4) contrast utterances with.
"""
