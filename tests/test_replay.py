import pytest
import torch

import rlpips
from rlpips import replay, rig


class Recording:
    """Does on the CPU what a CUDA graph does: it works on fixed tensors, and writes over its last results."""

    made = 0

    def __init__(self, function, given):
        self.function, self.given, self.replayed = function, given, 0
        self.results = tuple(torch.empty_like(result) for result in function(given))
        Recording.made += 1

    def replay(self):
        self.replayed += 1
        for result, new in zip(self.results, self.function(self.given)):
            result.copy_(new)


@pytest.fixture
def recording(monkeypatch):
    def record(function, x):
        graph = Recording(function, x.clone())
        return graph, graph.given, graph.results

    monkeypatch.setattr(replay, "record", record)
    Recording.made = 0
    return Recording


def work(x):
    return 2 * x, x.sum()


def test_results_are_those_of_the_function_and_stay_the_callers(recording):
    again = replay.Replay(work, calls=replay.WORTH_RECORDING)
    given = [torch.rand(2, 3, 4, 5) for _ in range(3)]
    found = [again(x) for x in given]
    assert recording.made == 1
    for x, (double, total) in zip(given, found):
        torch.testing.assert_close(double, 2 * x)
        torch.testing.assert_close(total, x.sum())


def test_a_few_calls_are_not_worth_recording_and_it_can_be_switched_off(recording, monkeypatch):
    replay.Replay(work, calls=replay.WORTH_RECORDING - 1)(torch.ones(2))
    monkeypatch.setattr(replay, "ENABLED", False)
    assert torch.equal(replay.Replay(work, calls=100)(torch.ones(2))[0], torch.full((2,), 2.0))
    assert recording.made == 0


def test_what_cannot_be_recorded_is_called_as_it_is(monkeypatch):
    def failing(function, x):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(replay, "record", failing)
    again = replay.Replay(work, calls=100)
    with pytest.warns(UserWarning, match="without a CUDA graph, which is slower: out of memory"):
        assert torch.equal(again(torch.ones(2))[0], torch.full((2,), 2.0))
    assert torch.equal(again(torch.zeros(2))[0], torch.zeros(2))  # and does not try again


def test_on_a_cpu_there_is_nothing_to_record_with():
    assert replay.record(work, torch.ones(2)) is None


def test_an_attack_that_is_replayed_is_the_same_attack(recording, monkeypatch):
    monkeypatch.setattr(rig, "IDLE", {})
    x = torch.rand(4, 3, 45, 64, generator=torch.Generator().manual_seed(0))
    asked = [{"reference": x[:2], "eps": 0.01}, {"reference": x[2:], "eps": 0.02}, {"reference": x[2:], "eps": 0.01}]
    replayed = [trace for each in asked for trace in rlpips.attack(**each, steps=8, restarts=2)]
    assert recording.made == 1  # for all restarts, and all pictures of one size
    monkeypatch.setattr(replay, "ENABLED", False)  # the recording that is kept is left alone, too
    monkeypatch.setattr(Recording, "replay", None)
    for found, expected in zip(
        replayed, (trace for each in asked for trace in rlpips.attack(**each, steps=8, restarts=2))
    ):
        assert (found.distance == expected.distance).all() and (found.l2 == expected.l2).all()
        assert (found.adversarial == expected.adversarial).all()
