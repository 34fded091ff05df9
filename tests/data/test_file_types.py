"""Formats, depths and profiles against numpy, and bounds of work. All files are made here."""

import io
import struct
import time

import numpy as np
import pytest
from PIL import Image, ImageCms

from rlpips.data import limits
from rlpips.data.images import read_picture, to_tensor
from rlpips.data.triplets import find_pictures

GENERATOR = np.random.default_rng(0)
COLOURS = GENERATOR.integers(0, 256, (40, 48, 3)).astype(np.uint8)
DEEP = GENERATOR.integers(0, 65536, (40, 48, 4)).astype(np.uint16)


def encode(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def tiff(values, bits, photometric, order="<", extra=(), big=False):
    """A TIFF of one uncompressed strip of values (H, W, C) of whole bytes; `extra` are more tags (tag, type, numbers)."""
    height, width, channels = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels), (259, 3, [1]), (262, 3, [photometric]),
        (273, 4, [0]), (277, 3, [channels]), (278, 4, [height]), (279, 4, [len(data)]), *extra,
    ]  # fmt: skip
    tags = sorted({tag: (kind, numbers) for tag, kind, numbers in tags}.items())
    entry, inline, start = (20, 8, 16) if big else (12, 4, 8)
    after = start + (8 if big else 2) + entry * len(tags) + inline
    entries, longer = b"", b""
    for tag, (kind, numbers) in tags:
        if tag == 273:
            numbers = [after + 4096]
        body = struct.pack(order + {1: "B", 3: "H", 4: "L"}[kind] * len(numbers), *numbers)
        if len(body) > inline:
            place = struct.pack(order + ("Q" if big else "L"), after + len(longer))
            longer += body
            body = place
        entries += struct.pack(order + ("HHQ" if big else "HHL"), tag, kind, len(numbers)) + body.ljust(inline, b"\0")
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HL", 42, 8)
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    return head + count + entries + bytes(inline) + longer.ljust(4096, b"\0") + data


def bmp(width, height, bits, compression, body, palette=b"", masks=b""):
    header = struct.pack("<LLLHHLLLLLL", 40, width, height, 1, bits, compression, len(body), 0, 0, len(palette) // 4, 0)
    start = 14 + len(header) + len(masks) + len(palette)
    return b"BM" + struct.pack("<LHHL", start + len(body), 0, 0, start) + header + masks + palette + body


# kinds that are read


@pytest.mark.parametrize("order", "<>")
def test_deep_colours_of_tiff_are_rounded_once(order):
    expected = np.rint(DEEP[..., :3] / 257)
    assert (read_picture(tiff(DEEP[..., :3], 16, 2, order)).pixels == expected).all()
    opaque = DEEP.copy()
    opaque[..., 3] = 65535
    for meaning in (1, 2):  # colours multiplied by opacity, or not
        picture = read_picture(tiff(opaque, 16, 2, order, [(338, 3, [meaning])]))
        assert (picture.pixels == expected).all()
        assert picture.notes == ("16 bits a colour were scaled to 8.",)


def test_deep_colours_multiplied_by_their_opacity_lie_on_white():
    opacity = np.full((40, 48, 1), 30000)
    colours = np.minimum(DEEP[..., :3], opacity)
    picture = read_picture(tiff(np.dstack([colours, opacity]).astype(np.uint16), 16, 2, extra=[(338, 3, [1])]))
    assert np.abs(picture.pixels - (colours + 65535 - opacity) / 257).max() <= 2


def test_deep_print_colours_are_rounded_once():
    expected = Image.frombytes("CMYK", (48, 40), np.rint(DEEP / 257).astype(np.uint8).tobytes()).convert("RGB")
    assert (read_picture(tiff(DEEP, 16, 5)).pixels == np.asarray(expected)).all()


def test_opened_images_are_read_as_their_files_are():
    data = tiff(DEEP[..., :3], 16, 2)
    image = Image.open(io.BytesIO(data))
    assert (read_picture(image).pixels == np.rint(DEEP[..., :3] / 257)).all()
    assert (np.asarray(image) == DEEP[..., :3] >> 8).all()  # it can still be decoded
    frames = encode(
        Image.new("RGB", (40, 40), "red"), "TIFF", save_all=True, append_images=[Image.new("RGB", (40, 40), "blue")]
    )
    image = Image.open(io.BytesIO(frames))
    image.seek(1)
    assert (read_picture(image).pixels == [0, 0, 255]).all()


def test_big_tiff_and_float_of_which_0_is_white():
    assert (read_picture(tiff(COLOURS, 8, 2, big=True)).pixels == COLOURS).all()
    values = GENERATOR.random((40, 48, 1)).astype(np.float32)
    for photometric in (0, 1):
        expected = np.rint(255 * values)
        picture = read_picture(tiff(values, 32, photometric, extra=[(339, 3, [3])]))
        assert (picture.pixels == (expected if photometric else 255 - expected)).all()


def test_lab_of_tiff():
    lab = np.zeros((40, 48, 3), np.int8)
    lab[:20], lab[20:] = (128 - 256, 0, 0), (138 - 256, 80, 67)  # L 50 and near red: L 54, a 80, b 67
    picture = read_picture(tiff(lab.view(np.uint8), 8, 8))
    assert np.abs(picture.pixels[5, 5].astype(int) - 119).max() <= 2  # sRGB of L 50
    assert np.abs(picture.pixels[30, 5].astype(int) - (255, 0, 0)).max() <= 12


def test_the_fourth_byte_of_bmp():
    body = np.dstack([COLOURS[::-1, :, ::-1], np.zeros((40, 48), np.uint8)]).tobytes()
    assert (read_picture(bmp(48, 40, 32, 0, body)).pixels == COLOURS).all()
    masks = struct.pack("<LLL", 0xFF0000, 0xFF00, 0xFF)
    assert (read_picture(bmp(48, 40, 32, 3, body, masks=masks)).pixels == COLOURS).all()


# kinds that are refused


@pytest.mark.parametrize(
    "data, message",
    [
        (tiff(COLOURS, 8, 2, extra=[(254, 4, [1])]), "begins with a thumbnail"),
        (tiff(COLOURS, 8, 2, ">", extra=[(255, 3, [2])]), "begins with a thumbnail"),
        (tiff(COLOURS[..., :1], 8, 32803), "camera's raw file"),
        (tiff(COLOURS, 8, 34892), "camera's raw file"),
        (tiff(COLOURS, 8, 2, extra=[(50706, 1, [1, 4, 0, 0])]), "camera's raw file"),
        (b"IIU\0" + bytes(100), "camera's raw file"),
        (b"IIRO" + bytes(100), "camera's raw file"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(100), "camera's raw file"),
        (b"\0\0\0\x18ftypcrx " + bytes(100), "camera's raw file"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "camera's raw file"),
        (tiff(COLOURS.astype(np.float32), 32, 2, extra=[(339, 3, [3])]), r"kind .*3 values a pixel of 32 bits, float"),
        (tiff(COLOURS[..., :1].astype(np.float64), 64, 1, extra=[(339, 3, [3])]), "1 value a pixel of 64 bits, float"),
        (tiff(COLOURS.astype(np.uint32), 32, 2), "3 values a pixel of 32 bits, unsigned"),
        (tiff(COLOURS[..., :1].astype(np.int16), 16, 1, extra=[(339, 3, [2])]), "of signed numbers"),
        (tiff(COLOURS[..., :1].view(np.int8), 8, 1, extra=[(339, 3, [2])]), "of signed numbers"),
        (tiff(COLOURS, 8, 6), "YCbCr without compression"),
        (tiff(DEEP, 16, 5, extra=[(332, 3, [2])]), "inks other than CMYK"),
        (tiff(DEEP[..., :3], 16, 2, extra=[(284, 3, [2])]), "separate planes of 16 bits"),
        (tiff(COLOURS, 8, 2, ">", big=True), "big-endian BigTIFF"),
        (tiff(COLOURS, 8, 2, extra=[(322, 4, [60000]), (323, 4, [60000])]), "at most 50 can be read from a tile of a TIFF"),
        (bmp(32, 32, 8, 1, b"\x20\x05\0\0" * 32 + b"\0\1", bytes(1024)), "BMP with run-length compression"),
        (bmp(32, 32, 4, 2, b"\x20\x05\0\0" * 32 + b"\0\1", bytes(64)), "BMP with run-length compression"),
        (bmp(32, 32, 8, 0, bytes(1024), b"\0\0\0\0\xff\xff\xff\0"), "unusual palette"),
        (bmp(32, 32, 32, 3, bytes(4096), masks=struct.pack("<LLL", 0x3FF00000, 0xFFC00, 0x3FF)), "BMP of a kind"),
    ],
)  # fmt: skip
def test_other_kinds_are_named(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_picture(data)
    assert "damaged" not in str(caught.value)


def test_a_larger_picture_inside_a_tiff():
    def with_inner(side):
        data = tiff(COLOURS, 8, 2, extra=[(330, 4, [0])])
        inner = struct.pack("<HHHLLHHLLL", 2, 256, 4, 1, side, 257, 4, 1, side, 0)
        return data.replace(struct.pack("<HHLL", 330, 4, 1, 0), struct.pack("<HHLL", 330, 4, 1, len(data))) + inner

    assert (read_picture(with_inner(20)).pixels == COLOURS).all()
    with pytest.raises(ValueError, match="begins with a thumbnail"):
        read_picture(with_inner(4000))


# bounds


def scans_jpeg(side, repeats):
    data = encode(Image.new("L", (side, side)), "JPEG", quality=1, progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * repeats + b"\xff\xd9"


def test_scans_are_counted_in_the_first_picture_alone():
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + 400) + b"\xff\xda" * 200
    for options, scans in (({}, 1), ({"progressive": True}, 10)):
        data = encode(Image.fromarray(COLOURS), "JPEG", quality=95, **options)
        assert limits.count_scans(data) == scans == limits.count_scans(data[:2] + thumbnail + data[2:] + data)
    assert limits.count_scans(scans_jpeg(64, 7)) == 13
    both = encode(Image.fromarray(COLOURS), "MPO", save_all=True, append_images=[Image.fromarray(COLOURS)])
    assert limits.count_scans(both) == 1


@pytest.mark.parametrize("side, repeats", [(64, 80), (4000, 40), (7000, 5000)])
def test_a_jpeg_of_many_scans_is_refused_at_once(side, repeats):
    data = scans_jpeg(side, repeats)
    start = time.perf_counter()
    for source in (data, Image.open(io.BytesIO(data))):
        with pytest.raises(ValueError, match=f"a JPEG of {repeats + 6} scans; at most"):
            read_picture(source)
    assert time.perf_counter() - start < 1
    assert read_picture(scans_jpeg(640, 20)).pixels.shape == (640, 640, 3)


def test_a_tiff_with_a_jpeg_of_many_scans_is_refused():
    jpeg = np.frombuffer(scans_jpeg(64, 30), np.uint8)
    data = tiff(jpeg[None, :, None], 8, 1, extra=[(256, 4, [64]), (257, 4, [64]), (259, 3, [7]), (278, 4, [64])])
    with pytest.raises(ValueError, match="unusual JPEG"):
        read_picture(data)
    assert (read_picture(encode(Image.new("L", (64, 64), 200), "TIFF", compression="jpeg")).pixels == 200).all()


def test_tags_that_share_their_bytes_are_refused():
    body = 30000
    tags = b"".join(struct.pack("<HHLL", 60000 + tag, 1, body, 8) for tag in range(2000))
    with pytest.raises(ValueError, match="tags need more bytes"):
        read_picture(b"II*\0\x08\0\0\0" + struct.pack("<H", 2000) + tags + bytes(8000))


@pytest.mark.parametrize(
    "data, message",
    [
        (encode(Image.new("RGB", (4500, 4500)), "WEBP", lossless=True, method=0), r"20\.25 megapixels; .* 20 .* from WebP"),
        (encode(Image.new("RGB", (4500, 4500)), "WEBP", method=0), "20 can be read from WebP"),
        (encode(Image.new("RGBA", (4500, 4500)), "WEBP", method=0), "20 can be read from WebP"),
        (b"P3 1100 1100 255\n", "at most 1 can be read from PPM of this kind"),
        (b"P6 1100 1100 200\n", "at most 1 can be read from PPM of this kind"),
        (tiff(np.zeros((6400, 6400, 1), np.uint8), 8, 1), "at most 40 can be read from TIFF"),
        (tiff(np.zeros((40, 48, 3), np.uint16), 16, 2, extra=[(256, 4, [5000]), (257, 4, [5000])]), "24 .* 16 bits a colour"),
        (b"P3 40 40 255\n" + b"#\n" * 2000, "1000 comments"),
    ],
)  # fmt: skip
def test_bounds_name_their_format(data, message):
    with pytest.raises(ValueError, match=message):
        read_picture(data)


def test_strips_give_the_pixels_of_pillow():
    colours = GENERATOR.integers(0, 256, (2600, 3100, 4)).astype(np.uint8)
    picture = read_picture(Image.fromarray(colours[..., :3]))
    expected = Image.fromarray(colours[..., :3])
    expected.thumbnail((1024, 1024), Image.Resampling.LANCZOS, reducing_gap=2.0)
    assert (picture.pixels == np.asarray(expected)).all()


@pytest.mark.parametrize("comments", [b"!\xfe\x01A\0" * 200_000, b"!\xfe" + (b"\xff" + b"A" * 255) * 20_000 + b"\0"])
def test_long_comments_of_a_gif_are_refused_at_once(comments):
    data = encode(
        Image.fromarray(COLOURS), "GIF", comment="A short one.", save_all=True, append_images=[Image.new("L", (48, 40))]
    )
    assert read_picture(data).notes == ("It has several frames; the first one is used.",)
    first = data.index(b"!\xfe")
    start = time.perf_counter()
    with pytest.raises(ValueError, match="GIF of too long comments"):
        read_picture(data[:first] + comments + data[first:])
    assert time.perf_counter() - start < 1


# colour profiles


def profile_of(primaries, gamma=2.2, description="Made here", space=b"RGB "):
    """An ICC profile (version 2) of a matrix (3, 3) whose columns are XYZ of the primaries under D50, or of grey."""
    curve = b"curv" + bytes(4) + struct.pack(">LH", 1, round(256 * gamma)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">L", len(description) + 1) + description.encode() + bytes(1 + 78)

    def xyz(values):
        return b"XYZ " + bytes(4) + struct.pack(">lll", *(round(65536 * value) for value in values))

    bodies = {b"desc": text, b"wtpt": xyz((0.9642, 1, 0.8249))}
    if space == b"RGB ":
        bodies |= {letter + b"XYZ": xyz(column) for letter, column in zip((b"r", b"g", b"b"), np.transpose(primaries))}
        bodies |= {letter + b"TRC": curve for letter in (b"r", b"g", b"b")}
    else:
        bodies[b"kTRC"] = curve
    place, table, data = 132 + 12 * len(bodies), struct.pack(">L", len(bodies)), b""
    for name, body in bodies.items():
        table += name + struct.pack(">LL", place + len(data), len(body))
        data += body.ljust(-(-len(body) // 4) * 4, b"\0")
    head = struct.pack(">L4sL4s4s4s", 128 + len(table) + len(data), b"", 0x02100000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">lll", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + data


SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])


def in_srgb(colours, primaries, gamma=2.2):
    linear = np.clip((colours / 255.0) ** gamma @ primaries.T @ np.linalg.inv(SRGB).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_a_profile_is_applied(format):
    options = {"lossless": True} if format == "WEBP" else {}
    profile = profile_of(P3, description="Display P3")
    picture = read_picture(encode(Image.fromarray(COLOURS), format, icc_profile=profile, **options))
    assert np.abs(picture.pixels - in_srgb(COLOURS, P3)).max() <= 2.5
    assert picture.notes == ("Colours were converted from Display P3 to sRGB.",)


def test_transparent_pixels_keep_their_profile_and_white_stays_white():
    opacity = GENERATOR.integers(0, 2, (40, 48)).astype(np.uint8) * 255
    image = Image.fromarray(np.dstack([COLOURS, opacity]))
    picture = read_picture(encode(image, "PNG", icc_profile=profile_of(P3, description="Display P3")))
    expected = np.where(opacity[..., None] > 0, in_srgb(COLOURS, P3), 255)
    assert np.abs(picture.pixels - expected).max() <= 2.5
    assert "Transparency was laid on white." in picture.notes and "Display P3" in picture.notes[0]


def test_srgb_and_profiles_that_do_not_fit_change_nothing():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = profile_of(None, description="Grey", space=b"GRAY")
    for profile, unfit in ((srgb, False), (grey, True), (b"nonsense", True), (srgb[:200], True)):
        picture = read_picture(encode(Image.fromarray(COLOURS), "PNG", icc_profile=profile))
        assert (picture.pixels == COLOURS).all()
        assert [("does not fit" in note) for note in picture.notes] == [True] * unfit


def test_a_profile_of_grey():
    levels = np.tile(np.arange(256, dtype=np.uint8), (40, 1))
    for image in (Image.fromarray(levels), Image.fromarray(levels).convert("LA")):
        data = encode(image, "PNG", icc_profile=profile_of(None, 1.0, "Linear grey", b"GRAY"))
        picture = read_picture(data)
        expected = in_srgb(np.repeat(levels[..., None], 3, 2), SRGB, 1.0)
        assert np.abs(picture.pixels - expected).max() <= 2.5
        assert picture.notes == ("Colours were converted from Linear grey to sRGB.",)


# arrays and folders


@pytest.mark.parametrize("kind", [">u2", "<u2", ">f4", "<f4", ">f8", "<f8", "f2"])
def test_arrays_of_either_byte_order(kind):
    values = (COLOURS * 257.0 if "u" in kind else COLOURS / 255).astype(kind)
    assert (read_picture(values).pixels == COLOURS).all()
    assert np.abs(to_tensor(values).numpy()[0].transpose(1, 2, 0) * 255 - COLOURS).max() < 0.1


@pytest.mark.parametrize(
    "values, message",
    [
        ((-2.1179, 2.64), r"ImageNet-normalised\? Take x \* std \+ mean; .* 0\.485, .* 0\.225"),
        ((-1.8, 0.5), "ImageNet-normalised"),
        ((-0.5, 0.5), r"From \[-0\.5, 0\.5\], take x \+ 0\.5"),
        ((-1, 1), r"From \[-1, 1\], take"),
        ((0, 255), "Divide bytes by 255"),
        ((0, 65535), "Divide values of 16 bits by 65535"),
        ((-3, 3), r"from -3 to 3\.$"),
        ((-200, 200), r"from -200 to 200\.$"),
        ((0, 1e300), r"from 0 to 1e\+300\.$"),
    ],
)
def test_hints_for_ranges(values, message):
    array = np.linspace(*values, 40 * 48 * 3).reshape(40, 48, 3)
    for read in (read_picture, to_tensor):
        with pytest.raises(ValueError, match=message):
            read(array)


@pytest.mark.parametrize(
    "array, message",
    [
        (COLOURS > 3, r"got bool\. \(Take x\.astype\(float\)\.\)"),
        (COLOURS.astype(np.int64), r"got int64\. \(Take x\.astype\(np\.uint8\)\.\)"),
        (COLOURS.astype(np.int64) - 9, r"got int64\.$"),
        (COLOURS.astype(object), "got object"),
        (COLOURS.astype(complex), "got complex128"),
        (COLOURS.astype(str), "got <U"),
        (COLOURS.astype("m8[s]"), "got timedelta64"),
        (np.array(None), r"got \(\)"),
    ],
)
def test_arrays_of_other_kinds(array, message):
    for read in (read_picture, to_tensor):
        with pytest.raises(ValueError, match=message):
            read(array)


def test_folders(tmp_path):
    with pytest.raises(ValueError, match="there is no such folder"):
        find_pictures(tmp_path / "none")
    with pytest.raises(ValueError, match="the folder is empty"):
        find_pictures(tmp_path)
    for name in ("._a.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"\0")
    with pytest.raises(ValueError, match=r"none of its files ends with \.png"):
        find_pictures(tmp_path)
    names = ["a.png", "b.TIF", "c.webp", "d.avif", "e.gif", "f.ppm", "g.jpg", "h.bmp", "i.jpeg"]
    for name in names:
        Image.new("RGB", (40, 40)).save(tmp_path / name)
    (tmp_path / "j.png").mkdir()
    assert [path.name for path in find_pictures(tmp_path)] == names
    for path in find_pictures(tmp_path):
        read_picture(path)


# damage


def written():
    """(format, mode, file) of every format and mode that Pillow writes here."""
    base = Image.fromarray(COLOURS)
    for format in ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"):
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F"):
            image = Image.frombytes("LAB", base.size, base.tobytes()) if mode == "LAB" else base
            if mode in ("I", "I;16"):
                image = Image.fromarray(DEEP[..., 0].astype(np.int32 if mode == "I" else np.uint16))
            elif mode == "F":
                image = Image.fromarray(COLOURS[..., 0].astype(np.float32) / 255)
            elif mode != "LAB":
                image = base.convert(mode)
            for options in ({}, {"icc_profile": profile_of(P3)}) if format in ("PNG", "JPEG", "TIFF") else ({},):
                try:
                    yield format, mode, encode(image, format, **options)
                except (OSError, KeyError, ValueError):
                    break
    yield "TIFF", "16", tiff(DEEP[..., :3], 16, 2)


@pytest.mark.filterwarnings("ignore")
def test_every_cut_and_flip_gives_a_picture_or_a_sentence(tmp_path):
    generator = np.random.default_rng(1)
    seen = 0
    for format, mode, data in written():
        path = tmp_path / f"a.{format.lower()}"
        for share in (1, 0.05, 0.5, 0.9, None, None, None, None, None, None):
            broken = bytearray(data[: int(len(data) * (share or 1))])
            if share is None:
                for place in generator.integers(0, min(len(data), generator.choice([60, 600, len(data)])), 3):
                    broken[place] = generator.integers(256)
            path.write_bytes(broken)
            try:
                image = Image.open(io.BytesIO(broken))
            except Exception:
                image = None
            for source in (path, bytes(broken), image):
                if source is None:
                    continue
                try:
                    pixels = read_picture(source).pixels
                    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3, (format, mode)
                except ValueError as error:
                    assert str(error).endswith("."), (format, mode, str(error))
                seen += 1
    assert seen > 1000
