import io
import os
import threading

import pytest

from coracle.core.errors import Invalid, Malformed, NotFound, TooLarge
from coracle.image.blobs import BlobStore
from coracle.image.digests import chain_ids, digest_of

DATA = b"hello" * 1000
DIGEST = digest_of(DATA)


@pytest.fixture
def blobs(tmp_path):
    return BlobStore(tmp_path)


def left_in(tmp_path):
    return {name: os.listdir(tmp_path / name) for name in ("ingest", "blobs/sha256")}


@pytest.mark.parametrize("source", [DATA, io.BytesIO(DATA), [DATA[:7], DATA[7:]]], ids=["bytes", "a file", "pieces"])
def test_what_was_put_is_there(blobs, source):
    if hasattr(source, "seek"):
        source.seek(0)
    blob = blobs.put(source, digest=DIGEST, size_bytes=5000)
    assert (blob.digest, blob.size_bytes) == (DIGEST, 5000)
    assert (blobs.has(DIGEST), blobs.size_bytes(DIGEST), blobs.read(DIGEST)) == (True, 5000, DATA)
    assert list(blobs.list()) == [blob]
    with blobs.open(DIGEST) as file:
        assert file.read() == DATA


@pytest.mark.parametrize(
    ("digest", "size", "error"),
    [
        pytest.param(digest_of(b"other"), 5000, Invalid, id="another digest"),
        pytest.param(DIGEST, 5001, Invalid, id="too short"),
        pytest.param(DIGEST, 4999, TooLarge, id="too long"),
    ],
)
def test_what_is_not_as_promised_leaves_nothing(blobs, tmp_path, digest, size, error):
    with pytest.raises(error):
        blobs.put(DATA, digest=digest, size_bytes=size)
    assert left_in(tmp_path) == {"ingest": [], "blobs/sha256": []}


@pytest.mark.parametrize(
    "digest", ["", "x", "../x", "sha256:../../x", f"sha256:{'0' * 63}", f"md5:{'0' * 32}", None, 5]
)
def test_no_path_is_made_of_what_is_no_digest(blobs, digest):
    for call in (blobs.path, blobs.has, blobs.open, blobs.delete, blobs.size_bytes):
        with pytest.raises(Malformed):
            call(digest)


def test_what_is_not_there_is_said(blobs):
    for call in (blobs.open, blobs.size_bytes, blobs.read, blobs.verify):
        with pytest.raises(NotFound):
            call(DIGEST)
    blobs.delete(DIGEST)


def test_a_damaged_blob_is_set_aside(blobs, tmp_path):
    for check in (blobs.read, blobs.verify):
        blobs.put(DATA)
        assert blobs.verify(DIGEST)
        blobs.path(DIGEST).write_bytes(b"damaged")
        if check == blobs.verify:
            assert not check(DIGEST)
        else:
            with pytest.raises(Invalid):
                check(DIGEST)
        assert not blobs.has(DIGEST)
    assert len(os.listdir(tmp_path / "quarantine")) == 1


def test_a_transfer_that_broke_off_goes_on(blobs):
    with blobs.writer(DIGEST, 5000) as writer:
        writer.write(DATA[:1234])
    with blobs.writer(DIGEST, 5000) as writer:
        assert writer.offset == 1234
        writer.write(DATA[1234:])
        writer.commit()
    assert blobs.read(DIGEST) == DATA


def test_a_wrong_beginning_is_not_kept_twice(blobs):
    with blobs.writer(DIGEST, 5000) as writer:
        writer.write(b"x" * 1234)
    with blobs.writer(DIGEST, 5000) as writer:
        writer.write(DATA[1234:])
        with pytest.raises(Invalid):
            writer.commit()
    with blobs.writer(DIGEST, 5000) as writer:
        assert writer.offset == 0
        writer.write(b"x")
        writer.restart()
        writer.write(DATA)
        writer.commit()


def test_two_writers_of_one_blob_do_not_meet(blobs):
    with blobs.writer(DIGEST, 5000) as one, blobs.writer(DIGEST, 5000) as two:
        one.write(DATA[:100])
        two.write(DATA)
        two.commit()
        one.write(DATA[100:])
        one.commit()
    assert blobs.read(DIGEST) == DATA


def test_many_threads_put_the_same(blobs, tmp_path):
    threads = [threading.Thread(target=blobs.put, args=(DATA,), kwargs={"digest": DIGEST}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left_in(tmp_path) == {"ingest": [], "blobs/sha256": [DIGEST[7:]]}


def test_blobs_are_shared_by_links(blobs, tmp_path):
    other = BlobStore(tmp_path / "other")
    blobs.put(DATA)
    other.link(DIGEST, blobs.path(DIGEST))
    other.link(DIGEST, blobs.path(DIGEST))
    assert other.path(DIGEST).stat().st_ino == blobs.path(DIGEST).stat().st_ino
    assert left_in(tmp_path / "other")["ingest"] == []


def test_a_damaged_blob_is_not_taken_in(blobs, tmp_path):
    (tmp_path / "bad").write_bytes(b"bad")
    with pytest.raises(Invalid):
        blobs.link(DIGEST, tmp_path / "bad")
    with pytest.raises(NotFound):
        blobs.link(DIGEST, tmp_path / "missing")
    assert left_in(tmp_path) == {"ingest": [], "blobs/sha256": []}


def test_a_document_is_not_read_without_bound(blobs):
    blobs.put(DATA)
    with pytest.raises(TooLarge):
        blobs.read(DIGEST, limit_bytes=4999)


def test_sweeping_forgets_what_broke_off(blobs, tmp_path):
    with blobs.writer(DIGEST, 5000) as writer:
        writer.write(b"x")
    blobs.sweep()
    assert left_in(tmp_path) == {"ingest": [], "blobs/sha256": []}


def test_chain_ids_name_everything_below():
    """The worked example of the OCI specification, and its first step."""
    one, two = digest_of(b"one"), digest_of(b"two")
    assert chain_ids([one]) == (one,)
    assert chain_ids([one, two]) == (one, digest_of(f"{one} {two}".encode()))
    assert chain_ids([two, one])[1] != chain_ids([one, two])[1]


def test_a_file_that_was_hashed_while_it_was_written_is_taken_as_it_is(tmp_path):
    blobs = BlobStore(tmp_path)
    path = blobs.new_path()
    path.write_bytes(b"abc")
    blob = blobs.take(path, digest_of(b"abc"))
    assert (blob.size_bytes, blobs.read(blob.digest)) == (3, b"abc")
    left = blobs.new_path()
    left.write_bytes(b"left")
    blobs.sweep()
    assert not left.exists()
