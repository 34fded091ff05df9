"""Files in zips: packed so that the same files make the same zip, and unpacked from one that may come from a stranger."""

import zipfile

# Other methods may unpack to blocks of any size.
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Refused(ValueError):
    """Why a file is refused, as a clause for the person who opens it."""


def pack(archive: zipfile.ZipFile, name: str, data: bytes | str, compression: int | None = None) -> None:
    """Add a file to an archive, without the time: the same files make the same bytes, whenever they are packed. `compression` is
    one of `zipfile`'s methods, by default the archive's."""
    entry = zipfile.ZipInfo(name)  # of 1980
    entry.external_attr = 0o644 << 16  # else nobody may read it once it is unpacked
    archive.writestr(entry, data, archive.compression if compression is None else compression)


def unpack(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The file `name` of an archive. `Refused` for one of more than `most` bytes, or of another size than it declares; KeyError
    for one that is not there. Never more than the declared size is unpacked, whatever the file holds."""
    entry = archive.getinfo(name)
    if entry.compress_type not in _BOUNDED:
        raise Refused("its packing is not ours")
    if entry.file_size > most:
        raise Refused("it unpacks to more than it may")
    with archive.open(entry) as file:
        data = file.read(entry.file_size)  # `archive.read` unpacks first, and then looks at the size
    if len(data) != entry.file_size:
        raise Refused("it unpacks to less than it says")
    return data
