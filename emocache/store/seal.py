"""Seals: small JSON files end in the SHA-256 of what stands before it, so that a flipped bit is seen."""

import hashlib

SEALED = "seal"
_SEAL, _END = f',\n "{SEALED}": "', '"\n}\n'


def sealed(text: str) -> str:
    """The text of a JSON object as `to_json` gives it, with its SHA-256 as one more field at the end."""
    return f"{text[:-3]}{_SEAL}{_sha256(text)}{_END}"


def is_sealed(text: str) -> bool:
    """Whether a text is, to the byte, what `sealed` made."""
    body, _, seal = text.rpartition(_SEAL)
    return seal == _sha256(f"{body}\n}}\n") + _END


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
