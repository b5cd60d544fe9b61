"""The IDX format, gzipped, in which Debian installs Fashion-MNIST: ``http://yann.lecun.com/exdb/mnist``."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frugal.data.preparing import Part
from frugal.errors import DataError

UNSIGNED_BYTE = 0x08

Bytes = npt.NDArray[np.uint8]


def read_pair(folder: Path, part: str) -> Part:
    """The images ``[n, 1, h, w]`` and labels of ``part``, train or t10k.

    Raises:
        DataError: A file is missing or damaged, or they do not belong together.
    """
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
    if len(images) != len(labels):
        raise DataError(f"{folder}: {len(images)} {part} images but {len(labels)} labels; install the data set again")
    return Part(inputs=images[:, None], labels=labels.astype(np.int64))


def read_idx(path: Path) -> Bytes:
    """The array of bytes in the file ``path``.

    Raises:
        DataError: The file is missing or is not what its header says.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"data file {path} not found: install the Debian package dataset-fashion-mnist "
            "(apt-get install dataset-fashion-mnist), or name the folder that holds fashion-mnist/ with --data-dir"
        ) from error
    except (OSError, EOFError) as error:
        raise DataError(f"data file {path} cannot be read ({error}): install the data set again") from error
    if len(raw) < 4 or raw[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise DataError(f"data file {path} is not an IDX file of bytes: install the data set again")
    header = 4 + 4 * raw[3]
    shape = struct.unpack(f">{raw[3]}I", raw[4:header])
    values = np.frombuffer(raw, dtype=np.uint8, offset=header)
    if values.size != np.prod(shape):
        raise DataError(f"data file {path} holds {values.size} bytes, its header says {shape}: install it again")
    return values.reshape(shape)
