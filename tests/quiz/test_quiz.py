"""The quiz: which questions are fair, choices and the smallest eps against closed forms, and the stored questions."""

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
    pictures = []
    for index in range(count):
        height, width = 150 + 10 * index, 170 - 15 * index
        y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        noise = np.random.default_rng(index).random((height, width, 3))
        waves = np.stack([np.sin(9 * x + 5 * y), np.cos(12 * y - index), np.sin(20 * x * y)], -1) / 2 + 0.5
        pictures.append(np.uint8(255 * (0.8 * waves + 0.2 * noise)))
    return pictures


class Angles:
    """A trunk of one layer with two features, the sine and the cosine of the mean of the colours, which have length 1. So
    d(x, y) = w · mean over positions of 4 sin²(difference / 2), which grows with the difference at every position."""

    def __init__(self):
        self.scale, self.softness = torch.ones(1), torch.zeros(1)
        self.spec = SimpleNamespace(layers=("angle",))

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
    return SimpleNamespace(name=name, trunk=trunk, layers=trunk.spec.layers, heads=[torch.full((2,), weight)])


def flat(levels, height=6, width=9):
    """Pictures (N, 3, H, W), each of one grey; `levels` are their values, 0 to 255."""
    return (torch.tensor(levels, dtype=torch.float32) * LEVEL).view(-1, 1, 1, 1).expand(-1, 3, height, width).clone()


def triplets_of(reference, first, second, judge=math.nan):
    count = len(reference)
    judges, severity = torch.full((count,), judge), torch.full((count, 2), 0.5)
    return Triplets(reference, first, second, judges, ("jpeg",) * count, severity, torch.arange(count))


# ---- drawing


def test_a_picture_whose_distortions_look_the_same_is_refused():
    black = [np.zeros((40, 60, 3), np.uint8)]
    with pytest.raises(ValueError, match="Too little can be told apart"):
        next(draw.draw_triplets(black, mixed=True, size=32))
    assert next(draw.draw_triplets(black, size=32)).family == ("noise",)


def test_triplets_can_be_judged_by_eye_but_not_without_looking():
    drawn = Triplets.cat(list(itertools.islice(draw.draw_triplets(photographs(), seed=3, size=48), 12)))
    assert drawn.reference.shape == (12, 3, 48, 48)
    for a, b in itertools.combinations((drawn.reference, drawn.p0, drawn.p1), 2):
        assert (a - b).square().mean((1, 2, 3)).sqrt().min() >= 6 * LEVEL
        assert torch.equal(in_8_bits(a), a)
    gap = (drawn.severity[:, 0] - drawn.severity[:, 1]).abs()
    assert gap.min() >= 0.12 - 1e-6 and gap.max() <= 0.4
    assert torch.equal(drawn.judge, (drawn.severity[:, 1] < drawn.severity[:, 0]).float())

    mixed = Triplets.cat(list(itertools.islice(draw.draw_triplets(photographs(), mixed=True, seed=3, size=48), 8)))
    assert mixed.judge.isnan().all() and all(len(set(family.split("/"))) == 2 for family in mixed.family)
    repeated = next(draw.draw_triplets(photographs(), seed=3, size=48))
    assert torch.equal(repeated.p0, drawn.p0[:1])  # seeded


@pytest.mark.parametrize("level", [0, 128])
def test_a_plain_picture_gives_a_question_too(level):
    assert next(draw.draw_triplets([np.full((64, 80, 3), level, np.uint8)], size=32)).reference.shape == (1, 3, 32, 32)


def test_questions_name_their_distortions():
    reference = flat([10, 20, 30], 32, 40)
    drawn = Triplets(reference, reference + LEVEL, reference + 2 * LEVEL, torch.tensor([0.0, 1.0, math.nan]),
                     ("jpeg", "blur", "noise/jpeg"), torch.tensor([[0.5, 0.7], [0.8, 0.2], [0.3, 0.6]]), torch.arange(3))  # fmt: skip
    first, second, third = draw.make_questions(drawn)
    assert first.nearer == 0 and second.nearer == 1 and third.nearer is None
    assert first.distortions == (DISTORTIONS["jpeg"].describe(0.5), DISTORTIONS["jpeg"].describe(np.float32(0.7)))
    assert third.distortions == tuple(
        DISTORTIONS[n].describe(np.float32(s)) for n, s in (("noise", 0.3), ("jpeg", 0.6))
    )
    assert second.pictures.shape == (3, 32, 40, 3) and (second.pictures[:, 0, 0, 0] == (20, 21, 22)).all()
    swapped = third.swapped()
    assert swapped.distortions == third.distortions[::-1] and (swapped.pictures[1] == third.pictures[2]).all()
    assert second.swapped().nearer == 0 and third.swapped().nearer is None


# ---- verdicts


def test_the_smallest_eps_is_the_one_of_the_closed_form(angles):
    """The distance of flat greys depends only on the difference in level. With candidates a and b levels away, an attack on
    either turns the choice from eps = b - a on."""
    # farther from the reference than any attack on it goes here
    near = torch.tensor([14.0, 16, 15, 33, 27, 12, 14, 19])
    far = near + torch.tensor([2.0, 7, 3, 20, 10, 3, 56, 2])
    reference = flat([100.0] * 8)
    first = torch.arange(8) % 2 == 0  # whether p0 is nearer
    p0 = flat((100 + torch.where(first, near, far)).tolist())
    p1 = flat((100 + torch.where(first, far, near)).tolist())
    metrics = [metric_of(angles, 1.0, "lpips"), metric_of(angles, 0.2, "rlpips-linf")]
    answers = verdicts.make_verdicts(metrics, triplets_of(reference, p0, p1), seed=1)
    assert len(answers) == 8 and len({verdict.attacked for verdict in answers}) == 2
    for verdict, a, b, p0_near, both in zip(answers, near.tolist(), far.tolist(), first.tolist(), zip(p0, p1)):
        assert verdict.choices(False).tolist() == [1 - p0_near] * 2  # whatever the metric's scale
        truth = b - a
        for eps in 255 * verdict.smallest_eps:
            if truth > 32:
                assert math.isnan(eps)
            else:
                assert truth * 0.999 <= eps <= truth * verdicts._PRECISION * 1.001
        turned = verdict.choices(True) != verdict.choices(False)
        assert (turned == (truth < 4)).all()
        change = verdict.pushed.astype(int) - images.to_uint8(both[verdict.attacked][None])
        assert np.abs(change).max() == 4
        nearer_is_attacked = verdict.choices(False)[0] == verdict.attacked
        moved = a + 4 if nearer_is_attacked else b - 4  # away or towards, by four levels
        assert verdict.after[0] == pytest.approx(4 * math.sin(max(moved, 0) * LEVEL / 2) ** 2, rel=1e-3)


def test_a_question_where_all_metrics_are_turned_and_one_where_none_is(angles):
    metrics = [metric_of(angles, 1.0, "lpips"), metric_of(angles, 0.2, "rlpips-linf")]
    for difference, turned in ((1.0, True), (60.0, False)):
        triplet = triplets_of(flat([100.0]), flat([115.0]), flat([115 + difference]))
        (verdict,) = verdicts.make_verdicts(metrics, triplet)
        assert ((verdict.choices(True) != verdict.choices(False)) == turned).all()
        assert (np.isnan(verdict.smallest_eps) != turned).all()


def test_verdicts_of_real_metrics_are_those_of_the_8_bit_pictures():
    drawn = Triplets.cat(list(itertools.islice(draw.draw_triplets(photographs(), seed=5, size=40), 3)))
    metrics = [load_metric(name) for name in PAIR]
    answers = verdicts.make_verdicts(metrics, drawn, steps=6, max_eps=6 * LEVEL)
    assert [verdict.metrics for verdict in answers] == [PAIR] * 3
    for index, verdict in enumerate(answers):
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
            assert (verdict.after[m] > both[verdict.attacked]) == nearer  # away or towards, against the metric's choice
            if verdict.choices(True)[m] != verdict.choices(False)[m]:
                assert verdict.smallest_eps[m] <= verdict.eps
    repeated = verdicts.make_verdicts(metrics, drawn, steps=6, max_eps=6 * LEVEL)
    assert all((a.pushed == b.pushed).all() for a, b in zip(answers, repeated))  # seeded


# ---- the score


def answered(height=33, width=41, nearer=0, seed=0):
    """A made-up question and verdict: LPIPS chooses A and is turned, R-LPIPS chooses B and is not; B is attacked."""
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


def test_questions_are_written_and_read(tmp_path):
    original = [answered(33, 41, 0), answered(48, 32, 1, seed=1), answered(40, 56, None, seed=2)]
    heads = dict.fromkeys(PAIR, "ab")
    archive.write(tmp_path / "a.zip", original, heads)
    copies, read_heads = archive.read(tmp_path / "a.zip")
    assert read_heads == heads and len(copies) == 3
    for (question, verdict), (q, v) in zip(original, copies):
        assert (q.pictures == question.pictures).all() and (v.pushed == verdict.pushed).all()  # to the last bit
        assert (q.distortions, q.nearer, v.attacked, v.metrics) == (question.distortions, question.nearer, 1, PAIR)
        for key in ("distance", "after", "smallest_eps"):
            np.testing.assert_array_equal(getattr(v, key), getattr(verdict, key))


def damage(path, change):
    """Rewrite a file of questions after `change(value, entries)`, its JSON and its entries by name."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    value = json.loads(entries["questions.json"])
    change(value, entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**entries, "questions.json": json.dumps(value)}.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "change",
    [
        lambda value, entries: value.update(format="other"),
        lambda value, entries: value.update(questions=[]),
        lambda value, entries: value["questions"][0].update(nearer=2),
        lambda value, entries: value["questions"][0].update(attacked=None),
        lambda value, entries: value["questions"][0].update(words=["a"]),
        lambda value, entries: value["questions"][0].update(metrics=["lpips", "mine"]),
        lambda value, entries: value["questions"][0].update(after=[0.1]),
        lambda value, entries: value["questions"][0].update(after=[0.1, "0.2"]),
        lambda value, entries: value["questions"][0].update(distance=[[0.1, -0.2], [0.1, 0.2]]),
        lambda value, entries: value["questions"][0].update(smallest=[0.9, None]),
        lambda value, entries: value["questions"][0].update(size=[33, 4100]),
        lambda value, entries: value["questions"][0].update(eps=1 / 255),  # its pictures are attacked further
        lambda value, entries: value.update(heads={}),
        lambda value, entries: entries.update({"0.webp": entries["0-attacked.webp"]}),
        lambda value, entries: entries.update({"0.webp": b"no picture"}),
        lambda value, entries: entries.pop("0-attacked.webp"),
    ],
)
def test_a_damaged_file_is_an_error_of_one_sentence(tmp_path, change):
    path = tmp_path / "a.zip"
    archive.write(path, [answered()], dict.fromkeys(PAIR, "ab"))
    damage(path, change)
    with pytest.raises(ValueError, match=r"^a\.zip is no readable file of questions in the format rlpips-judge-1\.$"):
        archive.read(path)


@pytest.mark.parametrize("cut", [0, 10, 500, -100, -1])
def test_half_a_file_is_an_error_of_one_sentence(tmp_path, cut):
    path = tmp_path / "a.zip"
    archive.write(path, [answered()], dict.fromkeys(PAIR, "ab"))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"^a\.zip is no readable file of questions in the format rlpips-judge-1\.$"):
        archive.read(path)


def test_an_error_while_questions_are_written_leaves_the_older_file(tmp_path):
    path = tmp_path / "a.zip"
    archive.write(path, [answered()], dict.fromkeys(PAIR, "ab"))
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        archive.write(path, [answered(), (None, None)], dict.fromkeys(PAIR, "ab"))
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["a.zip"]


# ---- the stored questions


@pytest.fixture(scope="module")
def stored():
    return archive.read(paths.QUESTIONS)


def test_stored_questions_are_of_every_family_and_the_file_is_small(stored):
    answered, _ = stored
    judged = [question for question, _ in answered if question.nearer is not None]
    assert len(answered) >= 30 and len(answered) - len(judged) >= 9
    starts = {name: family.describe(0.5).split()[0] for name, family in DISTORTIONS.items()}
    count = Counter(question.distortions[0].split()[0] for question in judged)
    levels = sum("levels a colour" in question.distortions[0] for question in judged)  # begins with its number
    assert levels == 4 and all(count[start] == 4 for name, start in starts.items() if name != "quantise")
    assert paths.QUESTIONS.stat().st_size < 4.2e6
    sizes = {question.pictures.shape for question, _ in answered}
    assert sizes == {(3, draw.SIZE, draw.SIZE, 3)}
    assert {verdict.attacked for _, verdict in answered} == {question.nearer for question in judged} == {0, 1}


def test_stored_verdicts_are_of_the_heads_in_assets(stored):
    heads = {name: catalog.card(name).heads["alex"].sha256 for name in PAIR}
    assert stored[1] == heads, "make them again: python -m rlpips.precompute questions"


def test_stored_distances_are_those_of_the_stored_pictures(stored):
    sample = stored[0][::15]
    for m, name in enumerate(PAIR):
        metric = load_metric(name)
        for question, verdict in sample:
            reference, *both = images.to_tensor(question.pictures).split(1)
            pushed = images.to_tensor(verdict.pushed[[m]])
            measured = [metric(reference, each).item() for each in (*both, pushed)]
            assert [*verdict.distance[m], verdict.after[m]] == pytest.approx(measured, rel=1e-3)
