import pytest
import torch
from torch import nn

from rlpips.engine import convolutions
from rlpips.engine.convolutions import Convolution, Convolver

LAYERS = {
    "11×11, in blocks": (3, 64, 11, 4, 2), "5×5": (8, 16, 5, 1, 2), "3×3": (16, 8, 3, 1, 1), "1×1": (16, 8, 1, 1, 0),
    "stride 2": (3, 8, 3, 2, 0),
}  # fmt: skip


@pytest.fixture(params=["ordered once", "without oneDNN"])
def convolver(request, monkeypatch):
    if request.param == "without oneDNN":
        monkeypatch.setattr(convolutions, "_in_order", lambda *_: None)
    return Convolver()


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_ordered_convolutions_are_the_plain_ones_at_any_size(convolver, name):
    inputs, *rest = LAYERS[name]
    torch.manual_seed(0)
    plain = nn.Conv2d(inputs, *rest)
    fast = Convolution(plain)
    for size in ((2, 37, 52), (3, 64, 45), (2, 37, 52)):
        x = torch.randn(size[0], inputs, *size[1:]).contiguous(memory_format=torch.channels_last)
        laid = fast.lay(x)
        expected = plain(x)
        torch.testing.assert_close(fast.forward(laid), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(convolver.forward(fast, laid), expected, atol=1e-5, rtol=1e-4)
        low = convolver.linear(fast, laid.bfloat16())
        assert low.dtype == torch.bfloat16
        torch.testing.assert_close(low.float() + plain.bias[:, None, None], expected, atol=0.05, rtol=0.05)
        gradient = torch.randn(expected.shape).contiguous(memory_format=torch.channels_last)
        back = torch.nn.grad.conv2d_input(x.shape, plain.weight, gradient, plain.stride, plain.padding)
        for each, slack in ((gradient, 1e-4), (gradient.bfloat16(), 0.1)):
            result = fast.unlay(convolver.backward(fast, each, laid.shape), x.shape)
            assert result.dtype == each.dtype and result.shape == x.shape
            torch.testing.assert_close(result.float(), back, atol=slack, rtol=slack)


def test_a_cpu_that_does_not_know_bfloat16_is_not_asked_for_it(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False}, raising=False)
    weight = torch.zeros(8, 8, 3, 3)
    order = ([1, 1], [1, 1], (2, 8, 9, 7))
    assert convolutions._in_order(weight.bfloat16(), *order) is None
    assert convolutions._in_order(weight.double(), *order) is None


@pytest.mark.parametrize("missing", ["_reorder_convolution_weight", "_convolution_pointwise"])
@torch.no_grad()
def test_where_the_operations_refuse_it_goes_on_without_them_and_the_log_says_so(missing, monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(torch.ops.mkldnn, missing, refuse)
    plain, x = nn.Conv2d(4, 6, 3, padding=1), torch.randn(2, 4, 9, 7)
    convolver = Convolver()
    convolutions._log_slow_path.cache_clear()
    for _ in range(2):
        torch.testing.assert_close(convolver.forward(Convolution(plain), x), plain(x))
    if torch.backends.mkldnn.is_available():
        assert caplog.text.count("refuses to order their weights") == 1  # said once
