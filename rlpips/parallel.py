"""Several processes on one job, started by torchrun, with the same result as one process alone.

    torchrun --nproc-per-node 2 -m rlpips.evaluate --images FOLDER

Nothing is averaged: the job is cut into the same pieces however many processes there are, each piece is worked
by one of them, and all get all results, in order. One process is the same thing with nobody to deal to.
"""

import os

import torch
import torch.distributed as dist


def join(device="cpu"):
    """Join the processes that torchrun started (gloo, on a GPU nccl) and return this process's device; without
    torchrun do nothing and return `device`."""
    if "RANK" not in os.environ:
        return torch.device(device)
    device = torch.device(device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def leave():
    """Say goodbye to the other processes, if there are any."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_first():
    """Whether this process is the one that writes files and progress."""
    return not dist.is_initialized() or dist.get_rank() == 0


def share(work, pieces):
    """[work(piece) for piece in pieces], the pieces dealt to the processes in turn. `work` returns a float32
    tensor of at most seven dimensions; every process gets all of them, in order."""
    if not dist.is_initialized():
        return [work(piece) for piece in pieces]
    rank, count = dist.get_rank(), dist.get_world_size()
    mine = {index: work(piece) for index, piece in enumerate(pieces) if index % count == rank}
    return [_broadcast(mine.get(index), index % count) for index in range(len(pieces))]


def _broadcast(tensor, source):
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
