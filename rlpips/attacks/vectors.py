"""Arithmetic on a batch with one number for each picture."""

import torch
from torch import Tensor

TINY = 1e-12  # keeps 0/0 away


def length(rows: Tensor) -> Tensor:
    """The l2 norm of rows (N, D), (N,)."""
    return torch.linalg.vector_norm(rows, dim=1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The scalar product of each pair of samples (N, …), (N,)."""
    return (a * b).flatten(1).sum(1)


def wide(values: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1), to multiply pictures by."""
    return values[:, None, None, None]
