"""Everything that can go wrong on purpose. On the command line each is one line and exit code 2.

EmocacheError
├── UsageError        an option or argument that cannot be
├── CorpusError       a corpus folder, manifest or label that is not as its reader expects
│   ├── AudioError    one audio file that cannot be used
│   ├── AlignmentError  one utterance whose words cannot be placed in its audio
│   └── AugmentationError  one view of an utterance that cannot be made
├── SourceError       features of another tool that cannot be imported as they are
├── EncoderError      a model that cannot be found, loaded or run
├── CacheError        a cache that is missing, damaged, or lacks what was asked of it
│   ├── KeyMismatch   features made in another way than the ones asked for
│   └── NewerFormat   a cache that a newer release has written
├── ShareError        a shared cache that cannot be reached, is damaged, or refuses
└── ProtocolError     a split, label or run that would not be an honest experiment
"""


class EmocacheError(Exception):
    """Base of all known errors: its text says where, what was got, what was expected and what to do."""


class UsageError(EmocacheError):
    """An option or argument that cannot be."""


class CorpusError(EmocacheError):
    """A corpus folder, manifest or label that is not as its reader expects."""


class AudioError(CorpusError):
    """One audio file that cannot be used."""


class AlignmentError(CorpusError):
    """One utterance whose words cannot be placed in its audio."""


class AugmentationError(CorpusError):
    """One view of an utterance that cannot be made."""


class SourceError(EmocacheError):
    """Features of another tool that cannot be imported as they are."""


class EncoderError(EmocacheError):
    """A model that cannot be found, loaded or run."""


class CacheError(EmocacheError):
    """A cache that is missing, damaged, or lacks what was asked of it."""


class KeyMismatch(CacheError):
    """Features of this name exist, but were made in another way."""


class NewerFormat(CacheError):
    """A cache or feature set of a format that this release does not know yet."""


class ShareError(EmocacheError):
    """A shared cache that cannot be reached, is damaged, or refuses what was asked of it."""


class ProtocolError(EmocacheError):
    """A split, label or run that would not be an honest experiment."""
