"""Unpack files from a zip that may come from a stranger."""

import zipfile

# Other methods may unpack to blocks of any size.
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Refused(ValueError):
    """Why a file is refused, as a clause for the person who opens it."""


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
