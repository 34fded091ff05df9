import pytest
import torch

from rlpips.attacks import request
from rlpips.attacks.threats import THREATS
from rlpips.norms import NORMS


def test_a_request_knows_every_threat_and_no_other():
    assert tuple(THREATS) == request.NORMS == (*NORMS, "flow")


@pytest.mark.parametrize("name", THREATS)
def test_the_centre_of_a_ball_is_the_picture_itself(name):
    pictures = torch.rand(2, 3, 33, 40, generator=torch.Generator().manual_seed(0))
    threat = THREATS[name]
    centre = threat.centre(pictures)
    assert len(centre) == 2 and threat.norm.name == name
    torch.testing.assert_close(threat.picture(centre, pictures), pictures, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", THREATS)
def test_gradients_flow_to_the_points(name):
    pictures = torch.rand(2, 3, 33, 40, generator=torch.Generator().manual_seed(0))
    threat = THREATS[name]
    point = (threat.centre(pictures) + 0.01).requires_grad_()
    (gradient,) = torch.autograd.grad(threat.picture(point, pictures).square().sum(), point)
    assert gradient.shape == point.shape and gradient.isfinite().all() and gradient.abs().max() > 0
