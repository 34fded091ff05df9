"""Exact products with the Jacobian of a ball's features, a pass through the network for each."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode

from rlpips.attacks.balls import Ball


class Jacobian:
    """The Jacobian J of a ball's features at pictures (N, 3, H, W), to multiply by. `features` (N, D) are the features there. Each
    product costs one pass through the network."""

    def __init__(self, ball: Ball, x: Tensor):
        with torch.enable_grad():
            self._x = x.detach().requires_grad_()
            with _Linear():
                self.features = ball.features(self._x)
            # Jᵀ u is linear in u, so its derivative with respect to u is J, whatever u is.
            self._u = torch.zeros_like(self.features, requires_grad=True)
            (self._pulled,) = torch.autograd.grad(self.features, self._x, self._u, create_graph=True)

    def push(self, v: Tensor) -> Tensor:
        """J v: (N, 3, H, W) -> (N, D)."""
        return torch.autograd.grad(self._pulled, self._u, v, retain_graph=True)[0]

    def pull(self, w: Tensor) -> Tensor:
        """Jᵀ w: (N, D) -> (N, 3, H, W)."""
        return torch.autograd.grad(self.features, self._x, w, retain_graph=True)[0]


class _Linear(TorchFunctionMode):
    """Within this mode convolutions and batch norms of frozen networks compute the same, but their derivatives are linear by
    construction. To autograd the derivative of a convolution's derivative is three convolutions; here it is one."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        replacement = {torch.conv2d: _convolve, F.batch_norm: _normalise}.get(function, function)
        return replacement(*args, **(kwargs or {}))


def _convolve(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _Convolution.apply(x, weight.detach(), bias, (stride, padding, dilation, groups))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, options):
        ctx.weight, ctx.options, ctx.size = weight, options, x.shape
        return F.conv2d(x, weight, bias, *options)

    @staticmethod
    def backward(ctx, gradient):
        return _Transposed.apply(gradient, ctx.weight, ctx.options, ctx.size), None, None, None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradient, weight, options, size):
        ctx.weight, ctx.options = weight, options
        return conv2d_input(size, weight, gradient, *options)

    @staticmethod
    def backward(ctx, gradient):
        return F.conv2d(gradient, ctx.weight, None, *ctx.options), None, None, None


def _normalise(x, mean, variance, weight, bias, training=False, momentum=0.1, eps=1e-5):
    factor = weight.detach() * (variance + eps).rsqrt()
    return x * factor[:, None, None] + (bias.detach() - mean * factor)[:, None, None]
