"""Arithmetic on a batch with one number for each picture."""

import torch

TINY = 1e-12  # keeps 0/0 away


def length(rows):
    """The l2 norm of rows (N, D), (N,)."""
    return torch.linalg.vector_norm(rows, dim=1)


def dot(a, b):
    """The scalar product of each pair of samples (N, …), (N,)."""
    return (a * b).flatten(1).sum(1)


def wide(values):
    """(N,) as (N, 1, 1, 1), to multiply pictures by."""
    return values[:, None, None, None]
