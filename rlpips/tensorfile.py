"""The safetensors format for float32: eight bytes of header length, a JSON header, the raw numbers.

Reading and writing it takes a few lines, so a machine that has torch alone needs no further package.
Source: https://github.com/huggingface/safetensors (section Format).
"""

import json

import torch
from torch import Tensor


def decode(raw: bytes) -> dict[str, Tensor]:
    """The tensors in the bytes of a safetensors file, float32 on the CPU; ValueError if it is none."""
    try:
        start = 8 + int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8:start])
        header.pop("__metadata__", None)
        tensors = {}
        for key, entry in header.items():
            if entry["dtype"] != "F32":
                raise ValueError(f"{key} is {entry['dtype']}")
            begin, end = entry["data_offsets"]
            numbers = bytearray(raw[start + begin : start + end])  # torch wants writable memory
            tensors[key] = torch.frombuffer(numbers, dtype=torch.float32).reshape(entry["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"Expected a float32 safetensors file; this is none ({error}).") from error
    return tensors


def encode(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file with these tensors, as float32, and a few words about them."""
    header, chunks, begin = {"__metadata__": metadata}, [], 0
    for key, value in tensors.items():
        chunk = value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
        offsets = [begin, begin + len(chunk)]
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
        chunks.append(chunk)
        begin += len(chunk)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format wants the numbers to begin at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + b"".join(chunks)
