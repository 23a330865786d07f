"""Tests ask no network for a model: the Hub's client reads this once, when it is imported."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
