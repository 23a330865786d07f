"""emocache: frozen encoders run once, features cached to Zarr, light heads trained on them.

>>> import emocache
>>> cache = emocache.open_cache("path/to/cache")              # doctest: +SKIP
>>> features = cache.features("ravdess", "whisper-tiny.en")   # doctest: +SKIP
>>> features.read("03-01-01-01-01-01-01", level="frames")     # doctest: +SKIP
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emocache.store import open_cache as open_cache

__version__ = "0.1.0"
__all__ = ["__version__", "open_cache"]


def __getattr__(name: str) -> object:
    """Import the store only when a cache is opened, so that `import emocache` costs nothing."""
    if name == "open_cache":
        from emocache.store import open_cache

        return open_cache
    raise AttributeError(f"module 'emocache' has no attribute {name!r}")
