"""Archives written byte by byte, good and hostile, for the tests of what unpacks and of what downloads."""

from __future__ import annotations

import binascii
import io
import struct
import tarfile
import zipfile


def zipped(entries):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return data.getvalue()


def tarred(*members, kind="gz"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{kind}") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def rarred(name, content, method=0x30):
    """A RAR 3 file with one entry, after the published format: stored as it is, or said to be packed by a method."""

    def block(kind, flags, fields, data=b""):
        rest = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", binascii.crc32(rest) & 0xFFFF) + rest + data

    path = name.encode()
    size = len(content)
    fields = struct.pack(
        "<LLBLLBBHL", size, size, 3, binascii.crc32(content), 0x5A000000, 20, method, len(path), 0o100644
    )
    end = block(0x7B, 0x4000, b"")
    return b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6)) + block(0x74, 0x8000, fields + path, content) + end
