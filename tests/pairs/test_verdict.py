import pytest

from rlpips.pairs.verdict import FURTHER, NEARER, choices, easy_to_see, verdict


@pytest.mark.parametrize(
    "lpips, robust, expected",
    [(FURTHER, 44, "lpips only"), (5, 10, "both"), (11, NEARER, "neither"), (16, 1, "rlpips-linf only")],
)
def test_a_metric_is_fooled_at_the_threshold_or_beyond(lpips, robust, expected):
    row = {"lpips_jpeg": lpips, "rlpips-linf_jpeg": robust}
    assert verdict(row, "lpips", "rlpips-linf", 10) == expected
    assert expected in choices("lpips", "rlpips-linf")


def test_the_threshold_moves_the_verdict():
    row = {"lpips_jpeg": 8, "rlpips-linf_jpeg": 26}
    said = [verdict(row, "lpips", "rlpips-linf", threshold) for threshold in (5, 10, 30)]
    assert said == ["neither", "lpips only", "both"]


def test_one_metric_alone():
    assert verdict({"lpips_jpeg": 8}, "lpips", None) == "lpips"
    assert verdict({"lpips_jpeg": 80}, "lpips", None) == "neither"
    assert choices("lpips", None) == ("lpips", "neither")


def test_without_equivalents_there_is_no_verdict():
    assert verdict({"lpips_jpeg": None}, "lpips", "rlpips-linf") == ""


@pytest.mark.parametrize(
    "psnr, ssim, why", [(36, 0.95, ""), (20, 0.95, "PSNR 20.0 dB"), (36, 0.5, "SSIM 0.50"), (float("inf"), 1, "")]
)
def test_a_change_that_is_easy_to_see_says_why(psnr, ssim, why):
    assert easy_to_see({"psnr": psnr, "ssim": ssim}).startswith(why)
    assert bool(easy_to_see({"psnr": psnr, "ssim": ssim})) == bool(why)


@pytest.mark.parametrize(
    "quality, why", [(75, ""), (27, ""), (26, "FLIP, a model of the eye, finds it as far as JPEG quality 26")]
)
def test_a_model_of_the_eye_is_asked_before_bounds_on_fidelity(quality, why):
    row = {"psnr": 20, "ssim": 0.5, "eye": 0.1, "eye_jpeg": quality}
    assert easy_to_see(row) == why
    assert easy_to_see({**row, "eye_jpeg": FURTHER}).endswith("finds it beyond JPEG quality 1")
    assert easy_to_see({**row, "eye_jpeg": None}).startswith("PSNR")
