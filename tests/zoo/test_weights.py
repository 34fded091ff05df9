import hashlib
import io
import os
import subprocess
import urllib.error
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from rlpips import paths
from rlpips.zoo import catalog, weights
from rlpips.zoo.weights import (
    WeightsError,
    load_heads,
    load_official,
    load_trunk,
    read_official_checkpoint,
)

CHANNELS = {
    "alex": [64, 192, 384, 256, 256],
    "vgg": [64, 128, 256, 512, 512],
    "squeeze": [64, 128, 256, 384, 384, 512, 512],
}


class Server:
    """Replaces urllib.request.urlopen: sends `data`, counts the calls, uses no network."""

    def __init__(self, data=b"", error=None, length=True):
        self.data, self.error, self.length, self.calls = data, error, length, []

    def __call__(self, url, timeout):
        assert 0 < timeout <= 60
        self.calls.append(url)
        if self.error:
            raise self.error
        response = io.BytesIO(self.data)
        response.headers = {"Content-Length": str(len(self.data))} if self.length else {}
        return response


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty RLPIPS_WEIGHTS_DIR, an empty cache, and no network."""
    for name in ("mine", "hub/checkpoints"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("RLPIPS_WEIGHTS_DIR", str(tmp_path / "mine"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("urllib.request.urlopen", Server(error=urllib.error.URLError("no network here")))
    return tmp_path / "mine", tmp_path / "hub/checkpoints"


def pickled(state):
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.fixture
def little_vgg(monkeypatch):
    """A small file in torchvision's layout in place of VGG16's: (its name, its bytes, the trunk in it)."""
    state = {"features.0.weight": torch.rand(4, 3, 3, 3), "classifier.0.weight": torch.rand(5, 2)}
    data = pickled(state)
    name = f"vgg16-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    monkeypatch.setitem(catalog.TRUNKS, "vgg", replace(catalog.TRUNKS["vgg"], torchvision=name))
    return name, data, {"features.0.weight": state["features.0.weight"]}


def same(state, expected):
    return state.keys() == expected.keys() and all(torch.equal(state[key], expected[key]) for key in state)


# trunks


def test_the_bundled_trunk_has_the_layout_of_torchvisions_alexnet():
    trunk = load_trunk("alex")
    torchvision = pytest.importorskip("torchvision")
    layout = torchvision.models.alexnet().features.state_dict()
    assert {key: value.shape for key, value in trunk.items()} == {
        f"features.{key}": value.shape for key, value in layout.items()
    }
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in trunk.values())
    assert sum(value.numel() for value in trunk.values()) == 2_469_696


def test_each_call_loads_a_new_trunk():
    load_trunk("alex")["features.0.bias"].zero_()
    assert load_trunk("alex")["features.0.bias"].any()


def test_our_vgg_file_is_found_in_the_weights_folder(vgg_weights, monkeypatch):
    monkeypatch.setenv("RLPIPS_WEIGHTS_DIR", str(vgg_weights))
    trunk = load_trunk("vgg")
    assert sum(value.numel() for value in trunk.values()) == 14_714_688
    assert list(trunk["features.28.weight"].shape) == [512, 512, 3, 3]


def test_our_vgg_file_is_verified(places):
    (places[0] / "vgg16_features.safetensors").write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"vgg16_features.safetensors is damaged or not the one expected"):
        load_trunk("vgg")


@pytest.mark.parametrize("place", [0, 1])
def test_torchvisions_file_is_found_in_the_weights_folder_and_the_cache(places, little_vgg, place):
    name, data, expected = little_vgg
    (places[place] / name).write_bytes(data)
    assert same(load_trunk("vgg"), expected)
    (places[place] / name).write_bytes(data[:-1])
    with pytest.raises(WeightsError, match=f"{name} is damaged"):
        load_trunk("vgg")


def test_the_weights_folder_comes_before_the_cache(places, little_vgg):
    name, data, expected = little_vgg
    (places[0] / name).write_bytes(data)
    (places[1] / name).write_bytes(b"half a file")
    assert same(load_trunk("vgg"), expected)


@pytest.mark.parametrize("length", [True, False])
def test_a_download_is_kept_and_not_repeated(places, little_vgg, monkeypatch, length):
    name, data, expected = little_vgg
    server = Server(data, length=length)
    monkeypatch.setattr("urllib.request.urlopen", server)
    calls = []
    assert same(load_trunk("vgg", progress=lambda *arguments: calls.append(arguments)), expected)
    assert calls[-1] == (name, len(data), len(data) if length else None)
    assert same(load_trunk("vgg"), expected)
    assert server.calls == ["https://download.pytorch.org/models/" + name]
    assert os.listdir(places[1]) == [name] and os.listdir(places[0]) == []


def test_a_download_prints_its_progress(places, little_vgg, monkeypatch, capsys):
    monkeypatch.setattr("urllib.request.urlopen", Server(little_vgg[1]))
    load_trunk("vgg")
    assert f"Downloading {little_vgg[0]}: 0 of 0 MB" in capsys.readouterr().err


def test_a_failed_download_leaves_nothing(places, little_vgg, monkeypatch):
    _, data, _ = little_vgg
    pieces = [data[:100]]

    class Breaks(io.BytesIO):
        def read(self, size):
            if pieces:
                return pieces.pop()
            raise TimeoutError("the server does not answer")

    def breaks(url, timeout):
        response = Breaks()
        response.headers = {}
        return response

    servers = [Server(data[:-5]), Server(b"<html>Please log in</html>"), breaks]
    servers += [Server(error=urllib.error.HTTPError("", 404, "gone", {}, None)), Server(error=OSError("x"))]
    for server in servers:
        monkeypatch.setattr("urllib.request.urlopen", server)
        with pytest.raises(WeightsError):
            load_trunk("vgg")
        assert os.listdir(places[1]) == []


def test_an_interrupted_download_leaves_nothing(places, little_vgg, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("urllib.request.urlopen", Server(little_vgg[1]))
    with pytest.raises(KeyboardInterrupt):
        load_trunk("vgg", progress=interrupt)
    assert os.listdir(places[1]) == []


def test_without_a_network_the_sentence_says_where_to_put_the_file(places):
    with pytest.raises(ValueError) as caught:
        load_trunk("squeeze")
    for word in ("SqueezeNet 1.1", "squeezenet1_1-b8a52dc0.pth", "RLPIPS_WEIGHTS_DIR", "hub/checkpoints"):
        assert word in str(caught.value)
    assert str(places[1]) not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_refused_with_a_sentence(places, little_vgg, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/dev/null/hub")
    with pytest.raises(WeightsError, match="could not be downloaded"):
        load_trunk("vgg")


def test_unknown_backbones_are_refused():
    with pytest.raises(ValueError, match="alex, vgg, squeeze"):
        load_trunk("resnet")


# heads


@pytest.mark.parametrize("backbone", CHANNELS)
def test_lpips_heads_equal_those_of_the_lpips_package(backbone):
    heads = load_heads("lpips", backbone)
    assert [list(head.shape) for head in heads] == [[channels] for channels in CHANNELS[backbone]]
    assert all(head.dtype == torch.float32 and (head >= 0).all() and head.any() for head in heads)
    lpips = pytest.importorskip("lpips")
    file = os.path.join(os.path.dirname(lpips.__file__), "weights", "v0.1", backbone + ".pth")
    state = torch.load(file, weights_only=True, map_location="cpu")
    assert len(state) == len(heads)
    for layer, head in enumerate(heads):
        assert torch.equal(head, state[f"lin{layer}.model.1.weight"].flatten())


@pytest.mark.parametrize("name", ["rlpips-linf", "rlpips-l2"])
def test_rlpips_heads(name):
    for backbone, file in catalog.card(name).heads.items():
        if not file.sha256:
            pytest.skip(f"{file.file} is not trained yet")
        heads = load_heads(name, backbone)
        assert [len(head) for head in heads] == CHANNELS[backbone]
        assert all((head >= 0).all() and head.isfinite().all() for head in heads)
        assert any(head.any() for head in heads)


def test_heads_that_do_not_exist_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="the metrics are"):
        load_heads("lipps", "alex")
    with pytest.raises(ValueError, match="the backbones are"):
        load_heads("lpips", "resnet")
    alone = replace(catalog.card("rlpips-l2"), heads={"alex": catalog.WeightsFile("none.safetensors", "")})
    monkeypatch.setitem(catalog.CATALOG, "rlpips-l2", alone)
    with pytest.raises(ValueError, match=r"no heads for VGG16 .* there are heads for alex"):
        load_heads("rlpips-l2", "vgg")
    with pytest.raises(WeightsError, match=r"none.safetensors, the heads of R-LPIPS l2 on AlexNet, is not"):
        load_heads("rlpips-l2", "alex")
    with pytest.raises(ValueError, match="no heads for VGG16"):
        load_heads("rlpips-official-x0", "vgg")


def put_heads(monkeypatch, tmp_path, tensors):
    data = safetensors.torch.save(tensors)
    (tmp_path / "new.safetensors").write_bytes(data)
    file = catalog.WeightsFile("new.safetensors", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    monkeypatch.setitem(catalog.CATALOG, "lpips", replace(catalog.card("lpips"), heads={"alex": file}))


def test_heads_are_verified_and_checked(monkeypatch, tmp_path):
    layers = {str(layer): torch.rand(layer + 2) for layer in range(12)}
    put_heads(monkeypatch, tmp_path, layers)
    assert [len(head) for head in load_heads("lpips", "alex")] == list(range(2, 14))  # 10 follows 9

    file = tmp_path / "new.safetensors"
    broken = bytearray(file.read_bytes())
    broken[-1] ^= 1
    file.write_bytes(broken)
    with pytest.raises(WeightsError, match=r"new.safetensors is damaged"):
        load_heads("lpips", "alex")
    for torn in (b"", bytes(broken[:5]), bytes(broken[:100])):
        file.write_bytes(torn)
        with pytest.raises(WeightsError, match=r"new.safetensors is damaged"):
            load_heads("lpips", "alex")
    file.unlink()
    with pytest.raises(WeightsError, match=r"new.safetensors is missing"):
        load_heads("lpips", "alex")

    for bad in (torch.tensor([1.0, -1e-3]), torch.tensor([1.0, float("nan")]), torch.ones(2, 2)):
        put_heads(monkeypatch, tmp_path, {"0": torch.ones(3), "1": bad})
        with pytest.raises(WeightsError, match=r"Head 1 of new.safetensors"):
            load_heads("lpips", "alex")


# official checkpoints


@pytest.fixture(scope="module")
def official():
    """A state dict as the authors' code saves it, from the lpips package, of which their code is a fork."""
    lpips = pytest.importorskip("lpips")
    torch.manual_seed(0)
    with pytest.warns(UserWarning):
        return lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).state_dict()


def write(path, state):
    torch.save(state, path)
    return path


def test_an_official_checkpoint_is_read(official, tmp_path):
    trunk, heads = read_official_checkpoint(write(tmp_path / "x.pth", official))
    assert {key: value.shape for key, value in trunk.items()} == {
        key: value.shape for key, value in load_trunk("alex").items()
    }
    for layer, index in enumerate((0, 3, 6, 8, 10)):
        for part in (f"{index}.weight", f"{index}.bias"):
            assert torch.equal(trunk[f"features.{part}"], official[f"net.slice{layer + 1}.{part}"])
        assert torch.equal(heads[layer], official[f"lin{layer}.model.1.weight"].flatten())
    assert [len(head) for head in heads] == CHANNELS["alex"]


def test_the_blob_id_equals_gits(official, tmp_path):
    path = write(tmp_path / "x.pth", official)
    blob = weights.git_blob_id(path.read_bytes())
    read_official_checkpoint(path, blob)
    with pytest.raises(WeightsError, match=r"x.pth is damaged or not the one expected"):
        read_official_checkpoint(path, "0" * 40)
    assert weights.git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
    try:
        blob_by_git = subprocess.run(["git", "hash-object", path], capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        pytest.skip("git is not installed")
    assert blob_by_git == blob


def test_wrong_official_checkpoints_are_refused(official, tmp_path):
    shift = official["scaling_layer.shift"]
    head = official["lin2.model.1.weight"]
    for change, message in [
        ({"net.slice6.12.weight": head}, "keys that LPIPS on AlexNet does not: net.slice6.12.weight"),
        ({"module.lin0.model.1.weight": head}, "does not: module.lin0"),
        ({"net.slice3.6.weight": None}, "lacks keys that LPIPS on AlexNet has: net.slice3.6.weight"),
        ({"lin4.model.1.weight": None}, "lacks keys .* lin4.model.1.weight"),
        ({"lins.0.model.1.weight": None}, "lacks keys .* lins.0.model.1.weight"),
        ({"scaling_layer.scale": None}, "lacks keys .* scaling_layer.scale"),
        ({"scaling_layer.shift": shift * 0}, r"shift of x.pth should be \(-0.03, -0.088, -0.188\)"),
        ({"scaling_layer.shift": shift * float("nan")}, "scaling_layer.shift of x.pth should be"),
        ({"lins.2.model.1.weight": head + 1e-3}, "lin2 and lins.2 of x.pth should be the same"),
        ({"lin2.model.1.weight": -head, "lins.2.model.1.weight": -head}, "Head 2 of x.pth"),
        ({"lin2.model.1.weight": head[:, :9]}, r"other shapes .* lin2.model.1.weight \(1, 9, 1, 1\)"),
        ({"net.slice1.0.bias": torch.zeros(3)}, r"other shapes .* net.slice1.0.bias \(3,\)"),
        ({"lin0.model.1.weight": "text"}, "should hold a dictionary of tensors"),
    ]:
        state = {key: value for key, value in {**official, **change}.items() if value is not None}
        with pytest.raises(WeightsError, match=message):
            read_official_checkpoint(write(tmp_path / "x.pth", state))


def test_files_that_are_not_checkpoints_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    with pytest.raises(WeightsError, match=r"x.pth is not a file of weights"):
        read_official_checkpoint(write(tmp_path / "x.pth", {"lin0": Evil()}))
    assert not (tmp_path / "owned").exists()
    for data in (b"", b"text", b"\x80\x02garbage", pickled({})[:50]):
        (tmp_path / "x.pth").write_bytes(data)
        with pytest.raises(WeightsError, match=r"x.pth is not a file of weights"):
            read_official_checkpoint(tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="should hold a dictionary"):
        read_official_checkpoint(write(tmp_path / "x.pth", [torch.zeros(2)]))
    with pytest.raises(WeightsError, match=r"none.pth is missing"):
        read_official_checkpoint(tmp_path / "none.pth")


def test_official_checkpoints_come_from_the_folder_or_the_network(official, places, monkeypatch):
    data = pickled(official)
    card = catalog.card("rlpips-official-x0")
    ours = replace(card.official, blob_id=weights.git_blob_id(data))
    monkeypatch.setitem(catalog.CATALOG, card.name, replace(card, official=ours))
    with pytest.raises(WeightsError, match=r"latest_net_linf_x0.pth into the folder"):
        load_official(card.name)
    server = Server(data)
    monkeypatch.setattr("urllib.request.urlopen", server)
    trunk, heads = load_official(card.name)
    assert torch.equal(trunk["features.3.bias"], official["net.slice2.3.bias"])
    assert all(torch.equal(a, b) for a, b in zip(load_heads(card.name, "alex"), heads))
    assert server.calls == [card.official.url]
    (places[1] / "latest_net_linf_x0.pth").rename(places[0] / "latest_net_linf_x0.pth")
    load_official(card.name)
    assert len(server.calls) == 1
    with pytest.raises(WeightsError, match="is damaged"):  # the real card needs the real file
        monkeypatch.setitem(catalog.CATALOG, card.name, card)
        load_official(card.name)
    with pytest.raises(ValueError, match="'lpips' is not an official checkpoint"):
        load_official("lpips")
