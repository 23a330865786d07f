"""Which device torch computes on."""

import shutil
import subprocess
from typing import TYPE_CHECKING

from emocache.errors import UsageError
from emocache.files import first_line

if TYPE_CHECKING:
    import torch


def pick_device(name: str | None) -> "torch.device":
    """The device asked for, else a GPU that is there, else the CPU.

    UsageError for a device that does not work: a GPU that is present but unusable is never passed over.
    """
    import torch

    wanted = name or ("cuda" if torch.cuda.is_available() or _driver_sees_gpu() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device {wanted} does not work here ({first_line(error)}); mend it, or say --device cpu") from error
    return device


def out_of_memory(error: Exception) -> bool:
    """Whether it says so: by its kind, or in the words of CUDA's libraries and of torch on a CPU."""
    import torch

    said = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in said)


def _driver_sees_gpu() -> bool:
    """Whether the driver's own tool lists a GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, check=False)
    return listed.returncode == 0 and "GPU" in listed.stdout
