"""How much attacks find, on small pictures."""

import sys
from functools import partial

import pytest
import torch

from rlpips import paths
from rlpips.benchmark import __main__ as command
from rlpips.benchmark import ours, strength
from rlpips.benchmark.packages import lpips_package
from rlpips.zoo.catalog import PAIR

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def package():
    pytest.importorskip("lpips", reason="needs lpips: pip install lpips")
    return lpips_package(PAIR)


def test_a_course_keeps_the_largest_distances_and_tells_when_they_are_enough():
    course = strength.Course(CPU)
    for distances in ([1.0, 4.0], [3.0, 2.0], [2.0, 8.0]):
        course.note(torch.tensor(distances))
    assert course.best.tolist() == [[1, 4], [3, 4], [3, 8]]
    assert course.seconds == sorted(course.seconds) and len(course.seconds) == 3
    assert course.until(torch.tensor([3.0, 5.0])) == course.seconds[1]  # (1 + 0.8) / 2 is 0.9
    assert course.until(torch.tensor([6.0, 8.0])) is None  # 0.75 in the end


@pytest.mark.parametrize("norm", ours.EPS)
@pytest.mark.parametrize("name", PAIR)
def test_our_fixed_steps_find_what_a_loop_over_lpips_finds(package, name, norm):
    pictures, eps = ours.sample_pictures(2, (32, 45)), ours.EPS[norm]
    course = strength.Course(CPU)
    strength.other_attacks(CPU)[0]["a loop over lpips"](name, pictures, norm, eps, 5, course)
    mine = strength.our_attack(name, pictures, norm, eps, "fixed", False, 5).best
    mine = mine[:-1]  # the loop does not measure its last iterate
    torch.testing.assert_close(mine, course.best, rtol=5e-3, atol=0)


def test_a_metric_as_a_classifier_has_the_gradient_of_the_distance(package):
    reference, x = ours.sample_pictures(2, (32, 45)), ours.sample_pictures(2, (32, 45)).flip(0).requires_grad_()
    distances = package.measure(package.models[0], reference, x)[0].flatten()
    course = strength.Course(CPU)
    logits = strength.AsClassifier(package.models[0], package.measure, reference, course)(x)
    assert logits.shape == (2, 2) and (course.best == distances).all()
    loss = torch.nn.functional.cross_entropy(logits, torch.zeros(2, dtype=torch.long), reduction="sum")
    one, other = (torch.autograd.grad(value, x)[0].flatten(1) for value in (distances.sum(), loss))
    torch.testing.assert_close(torch.cosine_similarity(one, other), torch.ones(2))


def test_the_tables_compare_with_the_best_of_all(monkeypatch):
    def nothing(name, pictures, norm, eps, steps, course):
        course.note(torch.zeros(len(pictures)))

    def everything(name, pictures, norm, eps, steps, course):
        course.note(torch.full((len(pictures),), 1e3))

    monkeypatch.setattr(strength, "other_attacks", lambda device: ({"weak": nothing}, ["torchattacks"]))
    pictures = ours.sample_pictures(2, (32, 40))
    options = {"budgets": [("linf", 4 / 255)], "steps": (1, 8), "steps_of_packages": (3,), "best": (9, 2)}
    shares, times = strength.strength_tables(pictures, **options)
    assert shares.description.endswith("Not installed, and left out: torchattacks.")
    by_row = {tuple(row[:2]): [float(cell) for cell in row[2:]] for row in shares.rows}
    assert len(by_row) == 4 * 2 + 1 and by_row["weak", 3] == [0, 0]
    for attack in strength.ATTACKS:
        assert all(0 < few < many <= 1 for few, many in zip(by_row[attack, 1], by_row[attack, 8]))
    assert times.rows[1] == ["weak", "never within 3 steps", "never within 3 steps"]

    monkeypatch.setattr(strength, "other_attacks", lambda device: ({"strong": everything}, []))
    shares, times = strength.strength_tables(pictures, **options)
    assert shares.rows[-1] == ["strong", 3, "1.00", "1.00"]
    assert times.rows[0] == ["here", "never within 8 steps", "never within 8 steps"]
    assert all(cell.endswith(" s") for cell in times.rows[1][1:])


def test_pictures_of_a_folder():
    pictures = strength.sample_pictures(2, 32, CPU, paths.SAMPLES)
    assert pictures.shape == (2, 3, 32, 32)
    assert (pictures[0] == ours.sample_pictures(1, (32, 32))[0]).all() and (pictures[0] != pictures[1]).any()
    with pytest.raises(ValueError, match="should have at least 100 pictures; it has 8"):
        strength.sample_pictures(100, 32, CPU, paths.SAMPLES)


def test_the_command_measures_strength_without_optional_packages(monkeypatch, capsys):
    for name in ("lpips", "torchattacks"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(strength, "QUICK_BEST", (2, 1))
    monkeypatch.setattr(strength, "strength_tables", partial(strength.strength_tables, steps=(1, 2)))
    arguments = ["strength", "--quick", "--sizes", "32", "--norms", "l2", "--pictures", "1"]
    command.main([*arguments, "--images", str(paths.SAMPLES), "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert "## Strength: 1 pictures of 32×32" in lines
    assert any(line.endswith("Not installed, and left out: lpips.") for line in lines)
    with pytest.raises(SystemExit):
        command.main([*arguments, "--images", str(paths.SAMPLES / "nothing")])
    assert "there is no such folder" in capsys.readouterr().err
