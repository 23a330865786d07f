"""Make `import torchaudio` work beside a torch of another build.

torchaudio's wheels are built for one CUDA version; beside a CPU build of torch its compiled part cannot be loaded, and
then neither transformers' audio parts nor SpeechBrain can be imported, though both need its Python part alone. Only
when the compiled part cannot load, a stand-in that says "not available" takes its place.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import types

_EXTENSION = "torchaudio._extension"


def make_torchaudio_importable() -> None:
    """Import torchaudio, without its compiled part where that cannot load; does nothing where it is not installed."""
    if "torchaudio" in sys.modules or importlib.util.find_spec("torchaudio") is None:
        return
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules[_EXTENSION] = _stand_in()
        importlib.import_module("torchaudio")


def _stand_in() -> types.ModuleType:
    """What torchaudio asks of its extension, with everything compiled declared as not there."""
    module = types.ModuleType(_EXTENSION)
    module.__spec__ = importlib.machinery.ModuleSpec(_EXTENSION, loader=None)
    module.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=lambda function: function,
        _check_cuda_version=lambda: None,
    )
    return module
