import bz2
import gzip
import io
import lzma
import sys

import pytest

from coracle.engine.archives.packed import ERRORS, unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = bytes(range(256)) * 5000


def read_all(source, size=1000):
    pieces = []
    while data := source.read(size):
        assert len(data) <= size
        pieces.append(data)
    return b"".join(pieces)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_each_format_is_known_by_its_beginning(pack):
    assert read_all(unpacked(io.BytesIO(pack(TEXT)))) == TEXT
    assert read_all(unpacked(io.BytesIO(pack(b"")))) == b""


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_streams_may_follow_one_another(pack):
    assert read_all(unpacked(io.BytesIO(pack(b"one") + pack(b"two")))) == b"onetwo"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_what_ends_early_is_an_error(pack):
    with pytest.raises((*ERRORS, OSError)):
        read_all(unpacked(io.BytesIO(pack(TEXT)[:-5])))


def test_what_is_hardly_there_is_as_it_is():
    assert read_all(unpacked(io.BytesIO(b"\x1f"))) == b"\x1f"
    assert read_all(unpacked(io.BytesIO(b""))) == b""
