"""Exact products with the Jacobian of a ball's features, a pass through the network for each."""

import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode


class Jacobian:
    """The Jacobian J of a ball's features at pictures (N, 3, H, W), to multiply by: a pass through the network for each
    product and none to come to the same place again."""

    def __init__(self, ball, x):
        with torch.enable_grad():
            self._x = x.detach().requires_grad_()
            with _Linear():
                self.features = ball.features(self._x)
            # Jᵀ u is linear in u, so that its derivative with respect to u is J, whatever the u.
            self._u = torch.zeros_like(self.features, requires_grad=True)
            (self._pulled,) = torch.autograd.grad(self.features, self._x, self._u, create_graph=True)

    def push(self, v):
        """J v: (N, 3, H, W) -> (N, D)."""
        return torch.autograd.grad(self._pulled, self._u, v, retain_graph=True)[0]

    def pull(self, w):
        """Jᵀ w: (N, D) -> (N, 3, H, W)."""
        return torch.autograd.grad(self.features, self._x, w, retain_graph=True)[0]


class _Linear(TorchFunctionMode):
    """Within it convolutions and batch norms of frozen networks compute the same, but their derivatives are known to be linear.
    Autograd does not know: to it the derivative of a convolution's derivative is three convolutions, and here it is one."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        here = {torch.conv2d: _convolve, F.batch_norm: _normalise}.get(function, function)
        return here(*args, **(kwargs or {}))


def _convolve(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _Convolution.apply(x, weight.detach(), bias, (stride, padding, dilation, groups))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, how):
        ctx.weight, ctx.how, ctx.size = weight, how, x.shape
        return F.conv2d(x, weight, bias, *how)

    @staticmethod
    def backward(ctx, gradient):
        return _Transposed.apply(gradient, ctx.weight, ctx.how, ctx.size), None, None, None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradient, weight, how, size):
        ctx.weight, ctx.how = weight, how
        return conv2d_input(size, weight, gradient, *how)

    @staticmethod
    def backward(ctx, gradient):
        return F.conv2d(gradient, ctx.weight, None, *ctx.how), None, None, None


def _normalise(x, mean, variance, weight, bias, training=False, momentum=0.1, eps=1e-5):
    factor = weight.detach() * (variance + eps).rsqrt()
    return x * factor[:, None, None] + (bias.detach() - mean * factor)[:, None, None]
