import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from pictures import make_pictures, write_pictures
from safetensors.torch import load

from rlpips.metrics.backbones import Trunk, load_trunk
from rlpips.metrics.lpips import PerceptualMetric, load_metric
from rlpips.progress import quiet
from rlpips.training.__main__ import main
from rlpips.training.data import Source
from rlpips.training.tune import tune
from rlpips.training.tune_settings import TuneSettings
from rlpips.zoo import weights

TINY = TuneSettings(
    size=32,
    triplets=8,
    align_steps=2,
    align_batch=3,
    align_attack_steps=1,
    steps=2,
    batch=2,
    attack_steps=1,
    validation=3,
)


@pytest.fixture(scope="module")
def photographs():
    return make_pictures()


def run(settings, photographs, state=None, progress=quiet):
    heads, lpips = weights.load_heads("rlpips-linf", "alex"), load_metric("lpips")
    sources = Source(photographs[:16]), Source(photographs[16:])
    trunk, heads, _ = tune(settings, *sources, lpips, heads, progress, state)
    return PerceptualMetric(trunk, heads, "tuned")


def test_soft_features_are_the_plain_formula():
    state = weights.load_trunk("alex")
    x = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    softness = torch.tensor([1.0, 2.0, 30.0, 4.0, 0.0])
    soft, plain = Trunk("alex", state, softness)(x), load_trunk("alex")(x)
    layers = iter(zip(softness.tolist(), soft, plain, strict=True))
    trunk = load_trunk("alex")
    raw = (2 * x - 1 - trunk.shift) / trunk.scale
    for index, layer in enumerate(trunk.features):
        raw = layer(raw)
        if index in trunk.spec.taps:
            c, soft_layer, plain_layer = next(layers)
            f = raw.double().numpy()
            length = np.sqrt((f**2).sum(1, keepdims=True) + c**2)
            np.testing.assert_allclose(soft_layer.numpy(), f / np.maximum(length, 1e-10), atol=1e-6)
            assert c or torch.equal(soft_layer, plain_layer)


def test_an_interrupted_tuning_continues_to_the_same_metric(photographs, tmp_path):
    state, texts = tmp_path / "state.safetensors", []

    def interrupt(text, *_, **__):
        texts.append(text)
        if text.startswith("step 3/4: loss"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(TINY, photographs, state, interrupt)
    resumed, whole = (
        run(TINY, photographs, *saved) for saved in ((state, lambda text, *_, **__: texts.append(text)), ())
    )
    assert "continuing after step 2, from state.safetensors" in texts
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(resumed.heads[0], weights.load_heads("rlpips-linf", "alex")[0])


def test_aligning_lowers_how_far_attacked_features_move(photographs):
    losses = []

    def note(text, *_, **__):
        if ": loss " in text:
            losses.append(float(text.rpartition(" ")[2]))

    run(replace(TINY, align_steps=16, align_batch=4, steps=1), photographs, progress=note)
    assert sum(losses[12:16]) < 0.9 * sum(losses[:4])


def test_the_command_writes_trunk_heads_and_card(tmp_path):
    folder = write_pictures(tmp_path / "photographs")
    out = tmp_path / "out" / "tuned.safetensors"
    out.parent.mkdir()
    changed = {key: value for key, value in asdict(TINY).items() if value != getattr(TuneSettings(), key)}
    options = [f"--{key.replace('_', '-')}={value}" for key, value in changed.items()]
    main(["tune", "--images", str(folder), str(folder), "--out", str(out), *options])
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "tuned.json", "tuned.safetensors", "tuned_trunk.safetensors",
    ]  # fmt: skip
    card = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert card["photographs"] == {"trained on": 32, "held out to choose": 4, "held out to report": 4}
    assert "tune --images FOLDER FOLDER --out tuned.safetensors --size 32" in card["command"]
    trunk = load((out.parent / card["trunk"]).read_bytes())
    assert trunk["features.0.weight"].dtype == torch.float16 and trunk["softness"].shape == (5,)


@pytest.mark.parametrize(
    "option, sentence",
    [
        ("--softness=-1", "softness must be a finite number"),
        ("--steps=0", "steps must be a whole number"),
        ("--out=a.pt", "--out"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(option, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["tune", "--images", str(tmp_path), "--out", str(tmp_path / "a.safetensors"), option])
    assert refused.value.code == 2 and capsys.readouterr().err.startswith(sentence)
