"""The files that an export can be: HDF5, npz, zipped Zarr. Each takes named arrays, whole or in blocks of rows.

A block is whole chunks, but for an array's last one, so that no chunk is written twice.
"""

import io
import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

About = Mapping[str, Any]
"""What a file says of itself: text, numbers, and objects that JSON can hold."""
BLOCK = 1024
"""Rows of a block are a multiple of this."""
HDF5_CHUNK = 256
"""Rows of an HDF5 chunk: about one utterance of a few seconds."""


class Container(ABC):
    """A file that is being written; leaving the `with` completes it. Names are paths such as `frames/12`."""

    @abstractmethod
    def put(self, name: str, values: NDArray[Any]) -> None:
        """Write a small array of numbers or text."""

    @abstractmethod
    def stream(self, name: str, shape: tuple[int, int], dtype: Any, blocks: Iterable[NDArray[Any]]) -> None:
        """Write [rows, dim] from blocks that follow each other."""

    @abstractmethod
    def close(self) -> None:
        """Complete the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Hdf5(Container):
    """One HDF5 file that every HDF5 from 1.10 on reads; `about` are the attributes of its root, objects as JSON."""

    def __init__(self, path: Path, about: About, *, compress: bool) -> None:
        import h5py

        self._disk = _Disk(path)
        self._file = h5py.File(self._disk, "w", libver=("v108", "v110"))  # before 1.8, attributes end at 64 kB
        self._text = h5py.string_dtype()
        self._filters = {"compression": "gzip", "shuffle": True} if compress else {}
        for name, value in about.items():
            self._file.attrs[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def put(self, name: str, values: NDArray[Any]) -> None:
        """A dataset; text has variable length and is UTF-8."""
        if values.dtype.kind == "U":
            self._file.create_dataset(name, data=values.astype(object), dtype=self._text)
        else:
            self._file.create_dataset(name, data=values)

    def stream(self, name: str, shape: tuple[int, int], dtype: Any, blocks: Iterable[NDArray[Any]]) -> None:
        """A chunked dataset."""
        chunks = (min(HDF5_CHUNK, shape[0]), shape[1])
        data = self._file.create_dataset(name, shape, dtype, chunks=chunks, **self._filters)
        _fill(data, self._disk.checked(blocks))

    def close(self) -> None:
        """Close the file; OSError when the disk has refused anything."""
        self._file.close()
        self._disk.close()
        self._disk.check()


class _Disk(io.FileIO):
    """What HDF5 writes to. A refusal is kept back and raised later, since HDF5 2.0 crashes the process when told of a full disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._refusal: OSError | None = None

    def write(self, data: Any) -> int:
        """All of the bytes; none after the first refusal."""
        left = memoryview(data)
        try:
            while left and self._refusal is None:
                left = left[super().write(left) :]
        except OSError as error:
            self._refusal = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Cut the file, or lengthen it."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._refusal = self._refusal or error
        return size or 0

    def checked(self, blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The blocks, as long as the disk takes them."""
        for block in blocks:
            yield block
            self.check()

    def check(self) -> None:
        """Raise what was kept back."""
        if self._refusal is not None:
            raise self._refusal


class Npz(Container):
    """One npz that `np.load` reads, an array at a time; `about` is JSON text."""

    def __init__(self, path: Path, about: About, *, compress: bool) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED)
        self.put("about", np.array(json.dumps(about, ensure_ascii=False)))

    def put(self, name: str, values: NDArray[Any]) -> None:
        """A member; text is of fixed width."""
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, values, allow_pickle=False)

    def stream(self, name: str, shape: tuple[int, int], dtype: Any, blocks: Iterable[NDArray[Any]]) -> None:
        """A member in C order."""
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)
            for block in blocks:
                member.write(np.ascontiguousarray(block, dtype).data.cast("B"))

    def close(self) -> None:
        """Write the directory of members."""
        self._zip.close()


class ZippedZarr(Container):
    """A Zarr v3 group in a zip, for `zarr.storage.ZipStore`; `about` are its attributes, its card also stands in card.json."""

    def __init__(self, path: Path, about: About, *, compress: bool) -> None:
        import zarr

        self._path, self._card = path, json.dumps(about["card"], indent=1, ensure_ascii=False) + "\n"
        self._store = zarr.storage.ZipStore(path, mode="w", compression=zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED)
        self._group = zarr.create_group(self._store, attributes=dict(about))

    def put(self, name: str, values: NDArray[Any]) -> None:
        """An array of one chunk."""
        text = values.dtype.kind == "U"
        array = self._array(name, values.shape, str if text else values.dtype, values.shape)
        array[:] = values.astype(object) if text else values

    def stream(self, name: str, shape: tuple[int, int], dtype: Any, blocks: Iterable[NDArray[Any]]) -> None:
        """An array of raw chunks, each an entry of the zip."""
        _fill(self._array(name, shape, dtype, (min(BLOCK, shape[0]), shape[1])), blocks)

    def close(self) -> None:
        """Write the directory of entries."""
        self._store.close()
        with zipfile.ZipFile(self._path, "a") as archive:
            archive.writestr("card.json", self._card)

    def _array(self, name: str, shape: tuple[int, ...], dtype: Any, chunks: tuple[int, ...]) -> Any:
        level, _, last = name.rpartition("/")
        return self._group.require_group(level).create_array(last, shape=shape, dtype=dtype, chunks=chunks, compressors=None)


CONTAINERS: Mapping[str, Callable[..., Container]] = {"h5": Hdf5, "npz": Npz, "zip": ZippedZarr}
"""Format -> what writes it: (path, about, compress=...)."""


def _fill(array: Any, blocks: Iterable[NDArray[Any]]) -> None:
    """Write blocks of rows one after the other."""
    row = 0
    for block in blocks:
        array[row : row + len(block)] = block
        row += len(block)
