"""One job in several processes, started by torchrun, with the same result as in one process.

    torchrun --nproc-per-node 2 -m rlpips.evaluate --images FOLDER

Nothing is averaged. The job is cut into the same pieces however many processes there are; one process works on each piece,
and every process gets all results, in order. Without torchrun, the one process works on all pieces.
"""

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Piece = TypeVar("Piece")


def join(device: str | torch.device = "cpu") -> torch.device:
    """Join the processes that torchrun started (by gloo, on GPUs by nccl) and return this process's device. Without torchrun,
    only return `device`."""
    device = torch.device(device)
    if "RANK" not in os.environ:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def leave() -> None:
    """Leave the other processes, if there are any."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that writes files and progress."""
    return rank() == 0


def processes() -> int:
    """How many processes work on the job."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(work: Callable[[Piece], Tensor], pieces: Sequence[Piece]) -> list[Tensor]:
    """[work(piece) for piece in pieces], with the pieces dealt to the processes in turn. `work` returns a float32 tensor of
    at most seven dimensions. Every process gets all results, in order."""
    if not dist.is_initialized():
        return [work(piece) for piece in pieces]
    count = processes()
    mine = {index: work(piece) for index, piece in enumerate(pieces) if index % count == rank()}
    return [_broadcast(mine.get(index), index % count) for index in range(len(pieces))]


def _broadcast(tensor: Tensor | None, source: int) -> Tensor:
    """The tensor of process `source`, in every process."""
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    header = torch.zeros(8, dtype=torch.int64)  # number of dimensions, and the dimensions
    if tensor is not None:
        header[: tensor.ndim + 1] = torch.tensor([tensor.ndim, *tensor.shape])
    header = header.to(device)
    dist.broadcast(header, source)
    dimensions, *shape = header.tolist()
    tensor = torch.empty(shape[:dimensions], device=device) if tensor is None else tensor.contiguous()
    dist.broadcast(tensor, source)
    return tensor
