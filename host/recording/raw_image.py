"""Pictures in a recording, as ``foxglove.RawImage`` in Protocol Buffers.

The definition is Foxglove's: https://docs.foxglove.dev/docs/sdk/schemas/raw-image.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from numpy.typing import NDArray

from focalloop.firmware_sim.pictures import gray
from focalloop.firmware_sim.window import Window

_FIELD = descriptor_pb2.FieldDescriptorProto
_FIELDS = (
    ("timestamp", 1, _FIELD.TYPE_MESSAGE),
    ("frame_id", 7, _FIELD.TYPE_STRING),
    ("width", 2, _FIELD.TYPE_FIXED32),
    ("height", 3, _FIELD.TYPE_FIXED32),
    ("encoding", 4, _FIELD.TYPE_STRING),
    ("step", 5, _FIELD.TYPE_FIXED32),
    ("data", 6, _FIELD.TYPE_BYTES),
)


@cache
def raw_image_schema() -> bytes:
    """Return the descriptors of the message and of what it uses, as a schema of MCAP."""
    stamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(stamp)
    whole: bytes = descriptor_pb2.FileDescriptorSet(file=[stamp, _file()]).SerializeToString()
    return whole


def raw_image(picture: NDArray[np.uint8], time_ns: int) -> bytes:
    """Return the message of a picture, uint8 (H, W), of a time since 1970 UTC."""
    height, width = picture.shape
    image = _message_class()(
        width=width, height=height, encoding="mono8", step=width, frame_id="sensor",
        data=np.ascontiguousarray(picture).tobytes(),
    )  # fmt: skip
    image.timestamp.FromNanoseconds(time_ns)
    packed: bytes = image.SerializeToString()
    return packed


def light_picture(window: Window, time_ns: int) -> bytes:
    """Return the message of a window's light, pixel by pixel, summed over its slots."""
    return raw_image(gray(window.light), time_ns)


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="foxglove/RawImage.proto",
        package="foxglove",
        syntax="proto3",
        dependency=["google/protobuf/timestamp.proto"],
    )
    message = file.message_type.add(name="RawImage")
    for name, number, type_ in _FIELDS:
        field = message.field.add(name=name, number=number, type=type_, label=_FIELD.LABEL_OPTIONAL)
        if type_ == _FIELD.TYPE_MESSAGE:
            field.type_name = ".google.protobuf.Timestamp"
    return file


@cache
def _message_class() -> Any:  # noqa: ANN401 - made at run time
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("foxglove.RawImage"))
