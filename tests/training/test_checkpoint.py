import pytest
import torch
from torch import nn

from rlpips.training.checkpoint import TrainingState

ABOUT = {"name": "tiny", "sizes": (3, 4)}


def make_training(optimiser):
    """A small network with running statistics and a counter, and one training step as a function."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    generator = torch.Generator().manual_seed(1)
    training = TrainingState({"model": model}, optimiser(model), {"generator": generator.get_state()})

    def step():
        generator.set_state(training.tensors["generator"])
        loss = (model(torch.randn(5, 3, generator=generator)) - 1).square().mean()
        training.optimiser.zero_grad()
        loss.backward()
        training.optimiser.step()
        training.tensors["generator"] = generator.get_state()
        training.step += 1

    return training, step


@pytest.mark.parametrize(
    "optimiser",
    [
        lambda model: torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
        lambda model: torch.optim.Adam([{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].weight}]),
    ],
    ids=["sgd", "adam"],
)
def test_a_resumed_training_is_the_same_bit_by_bit(optimiser, tmp_path):
    whole, step = make_training(optimiser)
    for _ in range(7):
        step()
    first, step = make_training(optimiser)
    for _ in range(3):
        step()
    first.save(tmp_path / "state", ABOUT)
    second, step = make_training(optimiser)
    assert second.resume(tmp_path / "state", ABOUT) and second.step == 3 and second.seconds >= 0
    for _ in range(4):
        step()
    expected = whole.modules["model"].state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in second.modules["model"].state_dict().items())
    assert second.step == whole.step == 7 and expected["1.num_batches_tracked"] == 7


def test_the_seconds_before_an_interruption_count(tmp_path):
    seconds = iter((10, 15, 100, 101, 103))
    first = TrainingState({}, torch.optim.SGD([torch.zeros(1)]), clock=lambda: next(seconds))
    first.save(tmp_path / "state", ABOUT)  # after 5 seconds
    second = TrainingState({}, torch.optim.SGD([torch.zeros(1)]), clock=lambda: next(seconds))
    assert second.resume(tmp_path / "state", ABOUT) and second.seconds == 5 + 2


def test_only_a_sound_state_of_the_same_training_is_resumed(tmp_path):
    training, step = make_training(lambda model: torch.optim.SGD(model.parameters(), 0.1))
    file = tmp_path / "state"
    assert not training.resume(file, ABOUT)
    step()
    training.save(file, ABOUT)
    assert not training.resume(file, {**ABOUT, "name": "other"})
    training.tensors["memory"] = torch.zeros(2)
    with pytest.raises(ValueError, match=r"not a state of this training \(.*memory.*\); delete it"):
        training.resume(file, ABOUT)
    whole = file.read_bytes()
    for torn in (whole[:-1], whole[:100], whole[:5], b"", b"{}" * 100):
        file.write_bytes(torn)
        with pytest.raises(ValueError, match=r"not a state of this training \(.*\); delete it to start again\.$"):
            training.resume(file, ABOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
