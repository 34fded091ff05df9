"""The judge: what is fair to ask, choices and the smallest eps against closed forms, and the stored questions."""

import copy
import itertools
import json
import math
import zipfile
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rlpips import load_metric, paths
from rlpips.data import images
from rlpips.data.distortions import DISTORTIONS
from rlpips.data.triplets import Triplets
from rlpips.engine import lanes
from rlpips.engine.panel import in_8_bits
from rlpips.quiz import archive, draw, questions, verdicts
from rlpips.quiz.questions import Question, Verdict
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR

LEVEL = 1 / 255


def photographs(count=3):
    """Smooth coloured waves with some texture, uint8, of different sizes."""
    made = []
    for index in range(count):
        height, width = 150 + 10 * index, 170 - 15 * index
        y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        noise = np.random.default_rng(index).random((height, width, 3))
        waves = np.stack([np.sin(9 * x + 5 * y), np.cos(12 * y - index), np.sin(20 * x * y)], -1) / 2 + 0.5
        made.append(np.uint8(255 * (0.8 * waves + 0.2 * noise)))
    return made


class Angles:
    """A trunk of one layer whose two features, the sine and cosine of the mean of the colours, have length 1. So
    d(x, y) = w · mean over positions of 4 sin²(difference / 2), which grows with the difference in every position."""

    def __init__(self):
        self.scale = torch.ones(1)

    def features(self, x, convolve=None):
        angle = x.mean(1, keepdim=True)
        return [torch.cat([angle.sin(), angle.cos()], 1)]

    def stages(self, x, convolver):
        (features,) = self.features(x)
        sine, cosine = features.split(1, 1)
        yield (
            features,
            lambda gradient: ((gradient * torch.cat([cosine, -sine], 1)).sum(1, keepdim=True) / 3).expand_as(x),
        )


@pytest.fixture
def angles(monkeypatch):
    monkeypatch.setattr(lanes, "FastTrunk", lambda trunk: trunk)
    return Angles()


def metric_of(trunk, weight, name):
    return SimpleNamespace(name=name, trunk=trunk, heads=[torch.full((2,), weight)])


def flat(levels, height=6, width=9):
    """Pictures (N, 3, H, W), each of one grey, given in levels."""
    return (torch.tensor(levels, dtype=torch.float32) * LEVEL).view(-1, 1, 1, 1).expand(-1, 3, height, width).clone()


def triplets_of(reference, first, second, judge=math.nan):
    count = len(reference)
    return Triplets(
        reference, first, second, torch.full((count,), judge), ("jpeg",) * count, torch.full((count, 2), 0.5)
    )


# ---- drawing


def test_a_picture_with_nothing_to_tell_apart_is_refused_in_the_end():
    black = [np.zeros((40, 60, 3), np.uint8)]
    with pytest.raises(ValueError, match="Too little can be told apart"):
        next(draw.draw(black, mixed=True, size=32))
    assert next(draw.draw(black, size=32)).family == ("noise",)


def test_what_is_drawn_can_be_judged_by_eye_and_needs_to_be():
    drawn = Triplets.cat(list(itertools.islice(draw.draw(photographs(), seed=3, size=48), 12)))
    assert drawn.reference.shape == (12, 3, 48, 48)
    for a, b in itertools.combinations((drawn.reference, drawn.p0, drawn.p1), 2):
        assert (a - b).square().mean((1, 2, 3)).sqrt().min() >= 6 * LEVEL
        assert torch.equal(in_8_bits(a), a)
    apart = (drawn.severity[:, 0] - drawn.severity[:, 1]).abs()
    assert apart.min() >= 0.12 - 1e-6 and apart.max() <= 0.4
    assert torch.equal(drawn.judge, (drawn.severity[:, 1] < drawn.severity[:, 0]).float())

    mixed = Triplets.cat(list(itertools.islice(draw.draw(photographs(), mixed=True, seed=3, size=48), 8)))
    assert mixed.judge.isnan().all() and all(len(set(family.split("/"))) == 2 for family in mixed.family)
    again = next(draw.draw(photographs(), seed=3, size=48))
    assert torch.equal(again.p0, drawn.p0[:1])  # seeded


@pytest.mark.parametrize("level", [0, 128])
def test_a_plain_picture_gives_a_question_too(level):
    assert next(draw.draw([np.full((64, 80, 3), level, np.uint8)], size=32)).reference.shape == (1, 3, 32, 32)


def test_questions_say_what_was_done():
    reference = flat([10, 20, 30], 32, 40)
    drawn = Triplets(reference, reference + LEVEL, reference + 2 * LEVEL, torch.tensor([0.0, 1.0, math.nan]),
                     ("jpeg", "blur", "noise/jpeg"), torch.tensor([[0.5, 0.7], [0.8, 0.2], [0.3, 0.6]]))  # fmt: skip
    first, second, third = draw.questions(drawn)
    assert first.nearer == 0 and second.nearer == 1 and third.nearer is None
    assert first.words == (DISTORTIONS["jpeg"].describe(0.5), DISTORTIONS["jpeg"].describe(np.float32(0.7)))
    assert third.words == tuple(DISTORTIONS[n].describe(np.float32(s)) for n, s in (("noise", 0.3), ("jpeg", 0.6)))
    assert second.pictures.shape == (3, 32, 40, 3) and (second.pictures[:, 0, 0, 0] == (20, 21, 22)).all()
    swapped = third.swapped()
    assert swapped.words == third.words[::-1] and (swapped.pictures[1] == third.pictures[2]).all()
    assert second.swapped().nearer == 0 and third.swapped().nearer is None


# ---- verdicts


def test_the_smallest_eps_is_the_one_of_the_closed_form(angles):
    """Of flat greys the distance depends on the difference in level alone: of candidates a and b levels away, attacking
    either turns the choice from eps = b - a on."""
    near = torch.tensor(
        [14.0, 16, 15, 33, 27, 12, 14, 19]
    )  # farther than any attack here: it does not cross the reference
    far = near + torch.tensor([2.0, 7, 3, 20, 10, 3, 56, 2])
    reference = flat([100.0] * 8)
    first = torch.arange(8) % 2 == 0  # whether the nearer one is p0
    p0 = flat((100 + torch.where(first, near, far)).tolist())
    p1 = flat((100 + torch.where(first, far, near)).tolist())
    metrics = [metric_of(angles, 1.0, "lpips"), metric_of(angles, 0.2, "rlpips-linf")]
    found = verdicts.verdicts(metrics, triplets_of(reference, p0, p1), seed=1)
    assert len(found) == 8 and len({verdict.attacked for verdict in found}) == 2
    for verdict, a, b, p0_near, both in zip(found, near.tolist(), far.tolist(), first.tolist(), zip(p0, p1)):
        assert verdict.choices(False).tolist() == [1 - p0_near] * 2  # whatever the metric's scale
        truth = b - a
        for eps in 255 * verdict.smallest:
            if truth > 32:
                assert math.isnan(eps)
            else:
                assert truth * 0.999 <= eps <= truth * verdicts._APART * 1.001
        turned = verdict.choices(True) != verdict.choices(False)
        assert (turned == (truth < 4)).all()
        change = verdict.pushed.astype(int) - images.to_uint8(both[verdict.attacked][None])
        assert np.abs(change).max() == 4
        toward = 1 if verdict.choices(False)[0] == verdict.attacked else -1  # away or towards, by four levels
        moved = (a if verdict.choices(False)[0] == verdict.attacked else b) + 4 * toward
        assert verdict.after[0] == pytest.approx(4 * math.sin(max(moved, 0) * LEVEL / 2) ** 2, rel=1e-3)


def test_one_question_whose_metrics_are_all_turned_and_one_where_none_is(angles):
    metrics = [metric_of(angles, 1.0, "lpips"), metric_of(angles, 0.2, "rlpips-linf")]
    for apart, turned in ((1.0, True), (60.0, False)):
        drawn = triplets_of(flat([100.0]), flat([115.0]), flat([115 + apart]))
        (verdict,) = verdicts.verdicts(metrics, drawn)
        assert ((verdict.choices(True) != verdict.choices(False)) == turned).all()
        assert (np.isnan(verdict.smallest) != turned).all()


def test_verdicts_of_real_metrics_hold_for_what_is_shown():
    drawn = Triplets.cat(list(itertools.islice(draw.draw(photographs(), seed=5, size=40), 3)))
    metrics = [load_metric(name) for name in PAIR]
    found = verdicts.verdicts(metrics, drawn, steps=6, most=6 * LEVEL)
    assert [verdict.metrics for verdict in found] == [PAIR] * 3
    for index, verdict in enumerate(found):
        assert verdict.pushed.shape == (2, 40, 40, 3) and verdict.distance.shape == (2, 2)
        candidate = (drawn.p0, drawn.p1)[verdict.attacked][index]
        change = np.abs(verdict.pushed.astype(int) - images.to_uint8(candidate[None]))
        assert 3 <= change.max() <= 4
        for m, metric in enumerate(metrics):
            reference = drawn.reference[[index]]
            both = [metric(reference, p[[index]]).item() for p in (drawn.p0, drawn.p1)]
            assert verdict.distance[m] == pytest.approx(both, rel=1e-4)
            pushed = images.to_tensor(verdict.pushed[[m]])
            assert verdict.after[m] == pytest.approx(metric(reference, pushed).item(), rel=1e-4)
            nearer = int(np.argmin(both)) == verdict.attacked
            assert (verdict.after[m] > both[verdict.attacked]) == nearer  # away or towards, as its own choice wants
            if verdict.choices(True)[m] != verdict.choices(False)[m]:
                assert verdict.smallest[m] <= verdict.eps
    again = verdicts.verdicts(metrics, drawn, steps=6, most=6 * LEVEL)
    assert all((a.pushed == b.pushed).all() for a, b in zip(found, again))  # seeded


# ---- the score


def answered(height=33, width=41, nearer=0, seed=0):
    """A question and a verdict made up: LPIPS says A and is turned, R-LPIPS says B and holds; B is the one attacked."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (3, height, width, 3), np.uint8)
    pushed = (pictures[2] + random.integers(-4, 5, (2, height, width, 3))).clip(0, 255).astype(np.uint8)
    question = Question(pictures, ("JPEG quality 20", "JPEG quality 7"), nearer)
    numbers = np.array([[0.1, 0.3], [0.04, 0.02]]), np.array([0.05, 0.03]), np.array([0.7 * LEVEL, math.nan])
    verdict = Verdict(4 * LEVEL, 32 * LEVEL, 1, PAIR, *numbers, pushed)
    return question, verdict


def test_the_score_of_an_answer():
    question, verdict = answered()
    points = questions.points(question, verdict, 1)
    titles = ["You", "LPIPS", "R-LPIPS l∞", "LPIPS attacked", "R-LPIPS l∞ attacked"]
    assert [line["title"] for line in points] == titles
    assert [line["right"] for line in points] == [False, True, False, False, False]
    assert [line["agrees"] for line in points] == [None, False, True, True, True]
    unknown = questions.points(answered(nearer=None)[0], verdict, 0)
    assert [line["right"] for line in unknown] == [None] * 5
    swapped = questions.points(question.swapped(), verdict.swapped(), 0)
    assert swapped == points  # A and B exchanged, and so is the answer


# ---- files


def test_written_and_read_again(tmp_path):
    made = [answered(33, 41, 0), answered(48, 32, 1, seed=1), answered(40, 56, None, seed=2)]
    heads = dict.fromkeys(PAIR, "ab")
    archive.write(tmp_path / "a.zip", made, heads)
    found, read_heads = archive.read(tmp_path / "a.zip")
    assert read_heads == heads and len(found) == 3
    for (question, verdict), (q, v) in zip(made, found):
        assert (q.pictures == question.pictures).all() and (v.pushed == verdict.pushed).all()  # to the last bit
        assert (q.words, q.nearer, v.attacked, v.metrics) == (question.words, question.nearer, 1, PAIR)
        for key in ("distance", "after", "smallest"):
            np.testing.assert_array_equal(getattr(v, key), getattr(verdict, key))


def changed(path, change):
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    value = json.loads(held["questions.json"])
    value, held = copy.deepcopy(value), dict(held)
    change(value, held)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**held, "questions.json": json.dumps(value)}.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "change",
    [
        lambda value, held: value.update(format="other"),
        lambda value, held: value.update(questions=[]),
        lambda value, held: value["questions"][0].update(nearer=2),
        lambda value, held: value["questions"][0].update(attacked=None),
        lambda value, held: value["questions"][0].update(words=["a"]),
        lambda value, held: value["questions"][0].update(metrics=["lpips", "mine"]),
        lambda value, held: value["questions"][0].update(after=[0.1]),
        lambda value, held: value["questions"][0].update(after=[0.1, "0.2"]),
        lambda value, held: value["questions"][0].update(distance=[[0.1, -0.2], [0.1, 0.2]]),
        lambda value, held: value["questions"][0].update(smallest=[0.9, None]),
        lambda value, held: value["questions"][0].update(size=[33, 4100]),
        lambda value, held: value["questions"][0].update(eps=1 / 255),  # its pictures went further
        lambda value, held: value.update(heads={}),
        lambda value, held: held.update({"0.webp": held["0-attacked.webp"]}),
        lambda value, held: held.update({"0.webp": b"no picture"}),
        lambda value, held: held.pop("0-attacked.webp"),
    ],
)
def test_damage_is_one_sentence(tmp_path, change):
    path = tmp_path / "a.zip"
    archive.write(path, [answered()], dict.fromkeys(PAIR, "ab"))
    changed(path, change)
    with pytest.raises(ValueError, match=r"^a\.zip is no readable file of questions in the format rlpips-judge-1\.$"):
        archive.read(path)


# ---- what is stored


@pytest.fixture(scope="module")
def stored():
    return archive.read(paths.QUESTIONS)


def test_stored_questions_are_of_every_family_and_small(stored):
    found, _ = stored
    known = [question for question, _ in found if question.nearer is not None]
    assert len(found) >= 30 and len(found) - len(known) >= 9
    starts = {name: family.describe(0.5).split()[0] for name, family in DISTORTIONS.items()}
    count = Counter(question.words[0].split()[0] for question in known)
    levels = sum("levels a colour" in question.words[0] for question in known)  # begins with its number
    assert levels == 4 and all(count[start] == 4 for name, start in starts.items() if name != "quantise")
    assert paths.QUESTIONS.stat().st_size < 4.2e6
    sizes = {question.pictures.shape for question, _ in found}
    assert sizes == {(3, draw.SIZE, draw.SIZE, 3)}
    assert {verdict.attacked for _, verdict in found} == {question.nearer for question in known} == {0, 1}


def test_stored_verdicts_were_made_with_the_heads_that_are_here(stored):
    heads = {name: catalog.card(name).heads["alex"].sha256 for name in PAIR}
    assert stored[1] == heads, "make them again: python -m rlpips.precompute questions"


def test_stored_distances_are_those_of_the_stored_pictures(stored):
    found = stored[0][::15]
    for m, name in enumerate(PAIR):
        metric = load_metric(name)
        for question, verdict in found:
            reference, *both = images.to_tensor(question.pictures).split(1)
            pushed = images.to_tensor(verdict.pushed[[m]])
            measured = [metric(reference, each).item() for each in (*both, pushed)]
            assert [*verdict.distance[m], verdict.after[m]] == pytest.approx(measured, rel=1e-3)
