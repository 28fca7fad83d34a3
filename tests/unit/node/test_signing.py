"""The key for tokens: made once, kept, and nobody else's."""

import stat

from coracle.kube.kinds.tokens import decode, encode
from coracle.node.signing import KeySigner


def test_a_key_is_made_once_and_only_root_reads_it(tmp_path):
    path = tmp_path / "sa.key"
    first, second = KeySigner(path), KeySigner(path)
    assert first.key() == second.key()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert second.verifies(b"said", first.sign(b"said"))
    assert decode(encode({"sub": "x"}, first), second) == {"sub": "x"}


def test_what_another_key_or_nobody_signed(tmp_path):
    ours, other = KeySigner(tmp_path / "a"), KeySigner(tmp_path / "b")
    for signature in (other.sign(b"said"), ours.sign(b"else"), b"", bytes(64), b"\xff" * 64, ours.sign(b"said")[:-1]):
        assert not ours.verifies(b"said", signature)


def test_the_public_key_is_told_without_the_private_one(tmp_path):
    told = KeySigner(tmp_path / "a").key()
    assert set(told) == {"use", "kty", "kid", "crv", "alg", "x", "y"}
    assert told["alg"] == "ES256"
