"""Files in zips."""

import io
import time
import zipfile

import pytest

from rlpips.data import zips

FILES = {"a/picture.png": b"\x89PNG" * 9, "words.json": '{"wörter": 2}'}


def packed():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            zips.pack(archive, name, data, zipfile.ZIP_STORED if name.endswith("png") else None)
    return file.getvalue()


def test_the_same_files_make_the_same_zip_at_any_time(monkeypatch):
    first = packed()
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2_000_000_000))
    assert packed() == first


def test_what_is_packed_can_be_read_by_whoever_unpacks_it():
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        assert [entry.compress_type for entry in archive.infolist()] == [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}
        assert zips.unpack(archive, "a/picture.png", 36) == FILES["a/picture.png"]
        assert zips.unpack(archive, "words.json", 99).decode() == FILES["words.json"]


def test_no_more_is_unpacked_than_may_be():
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        with pytest.raises(zips.Refused, match="unpacks to more than it may"):
            zips.unpack(archive, "a/picture.png", 35)
        archive.getinfo("a/picture.png").file_size = 37  # as a file may declare
        with pytest.raises(zips.Refused, match="less than it says"):
            zips.unpack(archive, "a/picture.png", 99)
        archive.getinfo("words.json").compress_type = zipfile.ZIP_BZIP2
        with pytest.raises(zips.Refused, match="packing"):
            zips.unpack(archive, "words.json", 99)
        with pytest.raises(KeyError):
            zips.unpack(archive, "other.json", 99)
