import io
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from rlpips import paths
from rlpips.data import images
from rlpips.data.images import Picture, png_bytes, read_picture, to_tensor, to_uint8


def smooth(height=48, width=64):
    """A colourful gradient, which JPEG and resizing change little."""
    y, x = np.mgrid[:height, :width]
    channels = (255 * x / (width - 1), 255 * y / (height - 1), 127.5 * (x / (width - 1) + y / (height - 1)))
    return np.stack(channels, -1).round().astype(np.uint8)


def encode(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(width, height, depth, colour, rows):
    """A PNG put together here, for depths and sizes that Pillow cannot write."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def png16(values):
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], zlib.compress(rows))


def blank_png(width, height):
    """An empty black-and-white PNG: many pixels in few bytes."""
    packer = zlib.compressobj()
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(packer.compress(row * 100) for _ in range(height // 100))
    return png(width, height, 1, 0, body + packer.flush())


# formats and modes


def test_reads_path_bytes_file_image_and_array_alike(tmp_path):
    pixels = smooth()
    path = tmp_path / "a b.png"
    path.write_bytes(encode(Image.fromarray(pixels), "PNG"))
    with path.open("rb") as stream:
        sources = [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), stream, pixels]
        sources += [Image.open(path), Picture(pixels, name="a b")]
        for source in sources:
            picture = read_picture(source)
            assert picture.pixels.dtype == np.uint8 and np.array_equal(picture.pixels, pixels)
            assert picture.notes == ()
            nameless = isinstance(source, (bytes, io.BytesIO, np.ndarray))
            assert picture.name == ("picture" if nameless else "a b")


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_keep_every_pixel(format):
    options = {"lossless": True} if format == "WEBP" else {}
    assert np.array_equal(read_picture(encode(Image.fromarray(smooth()), format, **options)).pixels, smooth())


@pytest.mark.parametrize("mode", ["L", "1", "P", "YCbCr", "LA", "CMYK"])
def test_other_modes_become_rgb(mode):
    image = Image.fromarray(smooth()).convert(mode)
    format = {"YCbCr": "JPEG", "CMYK": "JPEG"}.get(mode, "PNG")
    picture = read_picture(encode(image, format))
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert picture.pixels.shape == (48, 64, 3)
    assert np.abs(picture.pixels - expected).mean() < 3
    assert any("CMYK" in note for note in picture.notes) == (mode == "CMYK")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_scaled(channels):
    levels = np.random.default_rng(0).integers(0, 65536, (40, 50, channels)).astype(np.uint16)
    levels[0, 0], levels[0, 1] = 0, 65535
    if channels in (2, 4):
        levels[..., -1] = 65535
    picture = read_picture(png16(levels))
    colours = levels[..., : 3 if channels > 2 else 1]
    upper_byte_alone = channels == 2  # all that Pillow gives of grey with transparency
    assert np.abs(picture.pixels - np.rint(colours / 257)).max() <= upper_byte_alone
    assert picture.pixels[0, 1].tolist() == [255] * 3
    assert picture.notes == ("16 bits a colour were scaled to 8.",)


def test_the_clear_colour_of_sixteen_bits_is_laid_on_white_and_rotation_is_kept():
    levels = np.random.default_rng(0).integers(2000, 65536, (40, 50, 3)).astype(np.uint16)
    levels[2:5, 3:9] = 1000, 1001, 1002
    levels[7, 7] = 1000, 1001, 1003  # the same upper bytes
    data = png16(levels)
    start = data.index(b"IDAT") - 4
    exif = Image.Exif()
    exif[0x0112] = 3
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"tRNS", struct.pack(">HHH", 1000, 1001, 1002)), (b"eXIf", exif.tobytes()[6:]))
    )
    picture = read_picture(data[:start] + chunks + data[start:])
    expected = np.rint(levels / 257)
    expected[2:5, 3:9] = 255
    assert (picture.pixels == expected[::-1, ::-1]).all()


def test_sixteen_bit_grey_is_exact_in_png_and_tiff():
    levels = (np.arange(40 * 50).reshape(40, 50) * 32).astype(np.uint16)
    for data in (png16(levels[..., None]), encode(Image.fromarray(levels), "TIFF")):
        assert np.array_equal(read_picture(data).pixels[..., 1], np.rint(levels / 257))


def test_float_tiff():
    values = np.linspace(0, 1, 40 * 50, dtype=np.float32).reshape(40, 50)
    picture = read_picture(encode(Image.fromarray(values), "TIFF"))
    assert np.array_equal(picture.pixels[..., 0], np.rint(255 * values))
    for bad in (np.nan, np.inf, 2.0, -0.5):
        values[3, 4] = bad
        with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
            read_picture(encode(Image.fromarray(values), "TIFF"))


def deep_tiff(values, bits, photometric=1):
    """Grey (H, W) of `bits` bits a pixel as an uncompressed TIFF of one strip, its rows packed."""
    height, width = values.shape
    rows = (np.unpackbits(row.astype(">u2").view(np.uint8)).reshape(width, 16)[:, 16 - bits :] for row in values)
    data = b"".join(np.packbits(row).tobytes() for row in rows) if bits < 16 else values.astype("<u2").tobytes()
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 122),
        (277, 3, 1), (278, 4, height), (279, 4, len(data)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + data


@pytest.mark.parametrize("bits, photometric", [(12, 1), (16, 1), (16, 0)])
def test_grey_tiffs_of_more_than_eight_bits_are_as_bright_as_they_are(bits, photometric):
    brightest = 2**bits - 1
    values = np.random.default_rng(0).integers(0, brightest + 1, (34, 40))
    values[0, :2] = 0, brightest
    expected = np.rint(values * 255 / brightest)
    expected = 255 - expected if photometric == 0 else expected
    picture = read_picture(deep_tiff(values, bits, photometric))
    assert (picture.pixels == expected[:, :, None]).all()
    assert picture.notes == (f"{bits} bits a colour were scaled to 8.",)


def test_the_clear_value_of_a_deep_grey_png_is_laid_on_white():
    values = np.random.default_rng(0).integers(2000, 65536, (34, 40)).astype(np.uint16)
    values[3:9, 5:20] = 1000
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", transparency=1000)
    clear = file.getvalue()
    assert b"tRNS" in clear
    picture = read_picture(clear)
    expected = np.where(values == 1000, 255, np.rint(values / 257))
    assert (picture.pixels == expected[:, :, None]).all() and "Transparency was laid on white." in picture.notes


@pytest.mark.parametrize(
    "kind, count, value",
    [(2, 2, b"6\0\0\0"), (1, 1, b"\6\0\0\0"), (7, 4, b"\6\0\0\0"), (3, 1, b"\x09\0\0\0"), (9, 1, b"\xff\xff\xff\xff"), (5, 1, b"\x1a\0\0\0")],
    ids=["text", "byte", "undefined", "nine", "negative", "fraction"],
)  # fmt: skip
def test_an_exif_orientation_that_is_none_is_upright(kind, count, value):
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x01\0"
        + struct.pack("<HHI", 0x0112, kind, count)
        + value
        + struct.pack("<III", 0, 6, 1)
    )
    file = io.BytesIO()
    Image.new("RGB", (1200, 900)).save(file, "JPEG", exif=exif)
    picture = read_picture(file.getvalue())
    assert picture.pixels.shape == (768, 1024, 3)
    assert picture.notes == ("Downscaled from 1200×900 to 1024×768 pixels.",)


def test_integers_beyond_sixteen_bits_are_refused():
    image = Image.fromarray(np.full((40, 50), 70000, np.int32))
    with pytest.raises(ValueError, match="more than 16 bits"):
        read_picture(encode(image, "TIFF"))


def test_transparency_is_laid_on_white():
    rgba = np.dstack([smooth(), np.full((48, 64), 255, np.uint8)])
    opaque = read_picture(encode(Image.fromarray(rgba), "PNG"))
    assert opaque.notes == () and np.array_equal(opaque.pixels, smooth())
    rgba[:10, :, 3], rgba[10:20, :, 3] = 0, 128
    picture = read_picture(encode(Image.fromarray(rgba), "PNG"))
    assert picture.notes == ("Transparency was laid on white.",)
    assert (picture.pixels[:10] == 255).all()
    expected = 255 - (255 - smooth()[10:20].astype(float)) * 128 / 255
    assert np.abs(picture.pixels[10:20] - expected).max() <= 1
    assert np.array_equal(picture.pixels[20:], smooth()[20:])


def test_transparency_of_palette_and_colour_key():
    flat = Image.fromarray(np.repeat([[10], [200]], 24, axis=0).repeat(64, axis=1).astype(np.uint8))  # "L"
    for image in (flat, flat.convert("RGB"), flat.convert("P")):
        key = (10, 10, 10) if image.mode == "RGB" else 10
        picture = read_picture(encode(image, "PNG", transparency=key))
        assert (picture.pixels[:24] == 255).all() and (picture.pixels[24:] == 200).all()
        assert picture.notes == ("Transparency was laid on white.",)


def test_the_first_frame_of_an_animation_is_used():
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        picture = read_picture(encode(frames[0], format, save_all=True, append_images=frames[1:], **options))
        assert (picture.pixels == [255, 0, 0]).all(), format
        assert picture.notes == ("It has several frames; the first one is used.",)
    assert read_picture(encode(frames[0], "GIF")).notes == ()
    preview = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert read_picture(preview).notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_rotation(orientation, format):
    upright = smooth()
    undo = {5: "TRANSPOSE", 6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}
    undo |= {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM"}
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose[undo[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_picture(encode(stored, format, exif=exif))
    assert picture.pixels.shape == upright.shape
    assert np.abs(picture.pixels.astype(int) - upright).mean() < 3


def test_damaged_exif_does_no_harm():
    data = encode(Image.fromarray(smooth()), "PNG", exif=b"Exif\0\0MM\0*\0\0\xff\xff nonsense")
    assert np.array_equal(read_picture(data).pixels, smooth())


# sizes


def test_large_pictures_are_downscaled_with_a_note():
    image = Image.fromarray(smooth(1500, 2000))
    for data in (encode(image, "JPEG"), encode(image, "PNG"), encode(image.convert("L"), "PNG")):
        picture = read_picture(data)
        assert picture.pixels.shape == (768, 1024, 3)
        assert picture.notes == ("Downscaled from 2000×1500 to 1024×768 pixels.",)
    exact = read_picture(encode(image, "PNG")).pixels
    assert np.abs(exact - smooth(768, 1024).astype(int)).mean() < 1
    assert read_picture(image, max_side=100).pixels.shape == (75, 100, 3)
    assert image.size == (2000, 1500)  # the caller's image is not changed


def test_downscaling_a_picture_on_its_side():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_picture(encode(Image.fromarray(smooth(1500, 2000)), "JPEG", exif=exif))
    assert picture.pixels.shape == (1024, 768, 3)
    assert picture.notes == ("Downscaled from 1500×2000 to 768×1024 pixels.",)


def test_transparent_colours_do_not_bleed_when_downscaling():
    rgba = np.zeros((2000, 2000, 4), np.uint8)
    rgba[:, ::2] = (0, 200, 0, 255)  # every second column is transparent black
    picture = read_picture(Image.fromarray(rgba))
    inner = picture.pixels[100:-100, 100:-100].astype(int)
    assert np.abs(inner - (127, 228, 127)).max() <= 6


@pytest.mark.parametrize("size", [(1, 1), (31, 500), (500, 31)])
def test_tiny_pictures_are_refused(size):
    with pytest.raises(ValueError, match=rf"{size[0]}×{size[1]} pixels; a picture needs at least 32 a side"):
        read_picture(encode(Image.new("RGB", size), "PNG"))


def test_the_smallest_picture_is_accepted():
    assert read_picture(Image.new("RGB", (32, 33))).pixels.shape == (33, 32, 3)


def test_long_and_narrow_pictures_are_refused():
    with pytest.raises(ValueError, match="too long and narrow: 4000×100"):
        read_picture(Image.new("RGB", (4000, 100)))
    assert read_picture(Image.new("RGB", (4000, 130))).pixels.shape == (33, 1024, 3)


@pytest.mark.parametrize("side, message", [(20000, "more than 50 megapixels"), (12000, "144 megapixels")])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_refused_by_their_header(side, message):
    data = blank_png(side, side)
    assert len(data) < 100_000
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        read_picture(data)
    assert time.perf_counter() - start < 1  # decoding takes several
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_a_large_jpeg_is_decoded_small(monkeypatch):
    decoded = []
    crop = Image.Image.crop
    monkeypatch.setattr(Image.Image, "crop", lambda image, box: decoded.append(image.size) or crop(image, box))
    pixels = read_picture(encode(Image.new("RGB", (8000, 6000), "#336699"), "JPEG")).pixels
    assert set(decoded) == {(4000, 3000)}
    assert pixels.shape == (768, 1024, 3) and np.abs(pixels - [0x33, 0x66, 0x99]).max() <= 2


# refusals


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("empty.png", b"", "empty.png is empty"),
        ("text.jpg", b"Dear Sir or Madam,\n" * 50, "text.jpg is not a picture that can be read here; PNG,"),
        ("noise.bin", bytes(range(256)) * 9, "is not a picture"),
        ("drawing.svg", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "drawing (SVG)"),
        ("paper.pdf", b"%PDF-1.7\n", "PDF document"),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC photo"),
        ("figure.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "is not a picture"),
        ("header.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "header.png begins like a picture, but is damaged"),
    ],
)
def test_other_files_are_refused_with_their_base_name(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError) as caught:
        read_picture(tmp_path / name)
    assert message in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(ValueError, match=r"^The picture "):
        read_picture(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_truncated_files_are_refused(tmp_path, format, share):
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    data = encode(Image.fromarray(noise), format)
    path = tmp_path / f"cut.{format.lower()}"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"^cut") as caught:
        read_picture(path)
    assert str(tmp_path) not in str(caught.value)


def test_flipped_bytes_give_a_picture_or_a_sentence():
    generator = np.random.default_rng(0)
    for format in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        data = encode(Image.fromarray(smooth()), format)
        for _ in range(40):
            broken = bytearray(data)
            for place in generator.integers(0, len(data), 4):
                broken[place] = generator.integers(256)
            try:
                assert read_picture(bytes(broken)).pixels.dtype == np.uint8
            except ValueError as error:
                assert str(error)


def test_missing_files_and_wrong_types_are_refused(tmp_path):
    for source in (tmp_path / "none.png", tmp_path, "/dev/zero", "https://example.org/a.png", "a\0b"):
        with pytest.raises(ValueError) as caught:
            read_picture(source)
        assert str(tmp_path.parent) not in str(caught.value)
    for source in (None, 3, [1, 2]):
        with pytest.raises(ValueError, match=f"got {type(source).__name__}"):
            read_picture(source)


def test_names_are_short_and_printable():
    assert images.name_of("/some/where/cat.final.png") == "cat.final"
    assert images.name_of("x" * 300 + ".png") == "x" * 60
    assert images.name_of("a\nb\x1b.png") == "ab"
    assert images.name_of(torch.zeros(3, 32, 32)) == images.name_of(b"abc") == "picture"
    assert images.name_of(Picture(smooth(), name="cat")) == "cat"


# tensors and arrays


def test_to_tensor_of_tensors():
    batch = torch.rand(2, 3, 33, 47)
    assert torch.equal(to_tensor(batch), batch)
    assert torch.equal(to_tensor(batch[0]), batch[:1])
    assert to_tensor(batch.double()).dtype == to_tensor(batch.half()).dtype == torch.float32
    batch.requires_grad_()
    assert to_tensor(batch).requires_grad
    assert to_tensor(batch.detach() + 1e-6).max() <= 1


def test_to_tensor_of_arrays():
    levels = np.random.default_rng(0).integers(0, 256, (2, 33, 47, 3)).astype(np.uint8)
    expected = torch.from_numpy(levels / 255).float().permute(0, 3, 1, 2)
    assert torch.allclose(to_tensor(levels), expected, atol=1e-7)
    assert torch.allclose(to_tensor(levels[1]), expected[1:], atol=1e-7)
    assert torch.allclose(to_tensor(levels.astype(np.uint16) * 257), expected, atol=1e-6)
    assert torch.allclose(to_tensor(levels / 255), expected, atol=1e-7)
    assert torch.allclose(to_tensor(levels[:, :, ::-1]), expected.flip(3), atol=1e-7)
    grey = to_tensor(levels[0, :, :, 0])
    assert grey.shape == (1, 3, 33, 47) and torch.allclose(grey, expected[:1, :1].expand(1, 3, -1, -1))
    for source in (Image.fromarray(levels[0]), Picture(levels[0]), png_bytes(levels[0])):
        assert torch.allclose(to_tensor(source), expected[:1], atol=1e-7)
    levels.flags.writeable = False
    assert to_tensor(levels).is_contiguous()


def test_read_picture_of_arrays_rounds():
    values = np.full((40, 50, 3), 0.5)
    assert (read_picture(values).pixels == 128).all()
    assert (read_picture((values * 65535).astype(np.uint16)).pixels == 127).all()
    with pytest.raises(ValueError, match="Expected one picture"):
        read_picture(np.zeros((2, 40, 50, 3), np.uint8))


@pytest.mark.parametrize(
    "source, message",
    [
        (torch.linspace(-1, 1, 3 * 40 * 50).view(3, 40, 50), r"from -1 to 1\. \(From \[-1, 1\]"),
        (torch.rand(2, 3, 40, 50) * 255, r"Divide bytes by 255"),
        (torch.full((3, 40, 50), float("nan")), "got values from nan to nan"),
        (torch.full((3, 40, 50), float("inf")), "inf"),
        (torch.zeros(40, 50, 3), r"got \(40, 50, 3\)"),
        (torch.zeros(2, 1, 40, 50), r"got \(2, 1, 40, 50\)"),
        (torch.zeros(0, 3, 40, 50), r"got \(0, 3, 40, 50\)"),
        (torch.zeros(2, 3, 40, 50, dtype=torch.uint8), "got torch.uint8"),
        (torch.zeros(2, 3, 31, 50), "50×31 pixels; a picture needs at least 32 a side"),
        (np.zeros((3, 40, 50)), r"got \(3, 40, 50\)"),
        (np.zeros((40, 50, 4), np.uint8), r"got \(40, 50, 4\)"),
        (np.zeros((40, 50), np.int64), "got int64"),
        (torch.zeros(2, 3, 0, 50), r"got \(2, 3, 0, 50\)"),
        (np.zeros((0, 50)), r"got \(0, 50\)"),
        (np.full((40, 50), 3.0), "got values from 3 to 3"),
        (np.full((40, 50, 3), np.nan), "got values from nan"),
        (np.zeros((40, 20, 3), np.uint8), "20×40 pixels"),
        (None, "got NoneType"),
    ],
)
def test_to_tensor_refuses_other_input(source, message):
    with pytest.raises(ValueError, match=message):
        to_tensor(source)


def test_to_uint8_rounds_and_inverts_to_tensor():
    levels = np.random.default_rng(0).integers(0, 256, (2, 33, 47, 3)).astype(np.uint8)
    assert np.array_equal(to_uint8(to_tensor(levels)), levels)
    batch = torch.tensor([-0.1, 0.499 / 255, 0.501 / 255, 254.6 / 255, 1.2]).expand(2, 3, 4, 5)
    assert to_uint8(batch)[1, 2, :, 0].tolist() == [0, 0, 1, 255, 255]
    with pytest.raises(ValueError, match=r"\(3, 4, 5\)"):
        to_uint8(torch.zeros(3, 4, 5))


@pytest.mark.parametrize("shape", [(33, 47, 3), (33, 47), (1, 1, 3)])
def test_png_bytes_is_lossless(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    image = Image.open(io.BytesIO(png_bytes(pixels)))
    assert image.format == "PNG" and np.array_equal(np.asarray(image), pixels)


def test_resize_takes_height_first():
    assert np.abs(images.resize(smooth(480, 640), (48, 64)).astype(int) - smooth(48, 64)).mean() < 2


# samples


def test_sample_pictures_are_there_and_credited():
    assets = paths.ASSETS
    credits = (assets / "CREDITS.md").read_text()
    files = sorted(file for file in (assets / "samples").iterdir() if file.is_file())
    assert len(files) >= 8
    for file in files:
        picture = read_picture(file)
        assert f"`{file.name}`" in credits and file.suffix == ".png"
        assert min(picture.pixels.shape[:2]) == 256 and picture.notes == ()
    assert len({read_picture(file).pixels.shape for file in files}) >= 3  # not only squares
