"""Reads images as arrays of the shape that a signature wants.

``reading`` calls it; Pillow decodes.
"""

import io

import numpy
import pandas

from batchpoint_worker.tables.files.text import unopened
from batchpoint_worker.tables.signature import rejected
from batchpoint_worker.tables.wanted import Columns

MYPY = False
if MYPY:
    from typing import Any

    from batchpoint_worker.tables.signature import Tensor
    from batchpoint_worker.tables.wanted import Wanted

#: Numbers of channels → how Pillow calls such images.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_open = open


def read(path: str, where: str, wanted: "Wanted") -> Columns:
    """One image as a batch of one; raises Refused for a file that is none, or does not fit."""
    columns = Columns(where, 1, None)
    try:
        with _open(path, "rb") as source:
            data = source.read()
    except OSError as error:
        raise unopened(where, error)
    signature = wanted.signature
    if signature.columns:
        columns.whole = _as_bytes(data, where, wanted)
        return columns
    if len(signature.tensors) > 1:
        names = ", ".join(repr(str(tensor.name)) for tensor in signature.tensors)
        raise rejected(
            "%s: the model's signature wants several tensors (%s), and an image is one; give tables" % (where, names)
        )
    tensor = signature.tensors[0] if signature.tensors else None
    array = _pixels(data, where, tensor)
    columns.whole = array if tensor is None or tensor.name is None else {tensor.name: array}
    return columns


def _as_bytes(data: bytes, where: str, wanted: "Wanted") -> "Any":
    column = wanted.signature.columns[0]
    if len(wanted.signature.columns) > 1 or column.type != "binary":
        raise rejected(
            "%s: the model's signature wants columns, and an image has none; leave images out of the input, or log the "
            "model with a tensor of shape (-1, height, width, channels) or one column of type binary" % where
        )
    return pandas.DataFrame({0 if column.name is None else column.name: [data]})


def _pixels(data: bytes, where: str, tensor: "Tensor | None") -> "Any":
    try:
        from PIL import Image
    except ImportError:
        raise rejected("%s: the model's environment has no Pillow, which reads images; add pillow to it" % where)
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        array = numpy.asarray(_with_channels(image, tensor))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        words = "it is no image" if "cannot identify" in str(error) else str(error)
        raise rejected("%s cannot be read as an image: %s; write the file again" % (where, words))
    if array.dtype == bool:
        array = array.astype("uint8") * 255
    if tensor is None:
        return array[None]
    return _shaped(array, where, tensor).astype(tensor.dtype)


def _with_channels(image: "Any", tensor: "Tensor | None") -> "Any":
    """The image with as many channels as the signature wants; without its palette at any rate."""
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    mode = _MODES.get(_channels(tensor)) if tensor is not None else None
    deep = image.mode.startswith(("I", "F"))
    return image if mode is None or image.mode == mode or (deep and mode == "L") else image.convert(mode)


def _is_channels_first(shape: "tuple[int, ...]") -> bool:
    return len(shape) == 4 and shape[1] in _MODES and shape[3] not in _MODES


def _channels(tensor: "Tensor") -> int:
    shape = tensor.shape
    if len(shape) == 4:
        return shape[1] if _is_channels_first(shape) else shape[3]
    return 1 if len(shape) == 3 and shape[2] not in _MODES else 0


def _shaped(array: "Any", where: str, tensor: "Tensor") -> "Any":
    shape = tensor.shape
    if array.ndim == 2 and len(shape) == 4:
        array = array[:, :, None]
    if array.ndim == 3 and _is_channels_first(shape):
        array = array.transpose(2, 0, 1)
    if array.ndim == len(shape) - 1 and all(want in (-1, have) for want, have in zip(shape[1:], array.shape)):
        return array[None]
    if len(shape) < 4 and -1 not in shape[1:] and array.size == int(numpy.prod(shape[1:])):
        return array.reshape((1,) + shape[1:])
    raise rejected(
        "%s: the image has the shape %s, and the model's signature wants %s; scale it before it is scored"
        % (where, list(array.shape), list(shape[1:]))
    )
