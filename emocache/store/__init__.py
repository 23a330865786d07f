"""The cache on disk: one Zarr array per level and layer, in raw shards that numpy can map.

writer -> plan -> unit (background, shards, claims) -> commits/ -> index -> rows -> reader -> layered -> cache

Reading needs numpy and zarr only; `writer` is imported by those who write.
"""

from emocache.layers import parse_layers
from emocache.store.aligned import MANY_FALLBACKS, Fallbacks, check_aligned, fallbacks
from emocache.store.cache import Cache, open_cache
from emocache.store.reader import Features, Packed, text_digest

__all__ = [
    "MANY_FALLBACKS", "Cache", "Fallbacks", "Features", "Packed", "check_aligned", "fallbacks", "open_cache", "parse_layers", "text_digest",
]  # fmt: skip
