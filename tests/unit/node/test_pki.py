import contextlib
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from coracle.node import pki as module
from coracle.node.pki import ensure_pki

NOW_S = 1_800_000_000.0
HERE = [IPv4Address("127.0.0.1")]


def read(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_certificates_say_who_they_are_for(tmp_path):
    pki = ensure_pki(tmp_path / "pki", ["localhost"], HERE, NOW_S)
    authority, server, admin = read(pki.authority), read(pki.server[0]), read(pki.admin[0])
    server.verify_directly_issued_by(authority)
    admin.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == HERE
    assert admin.subject.rfc4514_string() == "CN=coracle-admin,O=system:masters"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (pki.server[1], pki.admin[1], tmp_path / "pki" / "ca.key"))


def test_they_are_kept_until_they_run_out_or_another_name_is_wanted(tmp_path):
    first = read(ensure_pki(tmp_path, ["localhost"], HERE, NOW_S).server[0])
    assert read(ensure_pki(tmp_path, ["localhost"], HERE, NOW_S + 86400).server[0]) == first
    renamed = read(ensure_pki(tmp_path, ["localhost", "other"], HERE, NOW_S).server[0])
    assert renamed != first
    late = ensure_pki(tmp_path, ["localhost", "other"], HERE, NOW_S + 350 * 86400)
    assert read(late.server[0]) != renamed
    read(late.server[0]).verify_directly_issued_by(read(late.authority))


class Killed(BaseException):
    pass


@pytest.mark.parametrize("names", [["localhost"], ["localhost", "other"]], ids=["made", "renewed"])
@pytest.mark.parametrize("writes", range(7))
def test_whoever_is_killed_in_the_middle_leaves_what_the_next_can_use(tmp_path, monkeypatch, names, writes):
    """After so many of the files; then the names are again as they were at first."""
    if names != ["localhost"]:
        ensure_pki(tmp_path, ["localhost"], HERE, NOW_S)
    whole, left = module.write_whole, [None] * writes

    def write(*arguments):
        if not left:
            raise Killed
        left.pop()
        whole(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_whole", write)
        with contextlib.suppress(Killed):
            ensure_pki(tmp_path, names, HERE, NOW_S)
    kept = ensure_pki(tmp_path, ["localhost"], HERE, NOW_S)
    for certificate, key in (kept.server, kept.admin, (kept.authority, tmp_path / "ca.key")):
        read(certificate).verify_directly_issued_by(read(kept.authority))
        assert read(certificate).public_key() == load_pem_private_key(key.read_bytes(), None).public_key()


def test_facts_that_a_former_version_left_half_written_are_made_anew(tmp_path):
    ensure_pki(tmp_path, ["localhost"], HERE, NOW_S)
    (tmp_path / "facts.json").write_text("")
    ensure_pki(tmp_path, ["localhost"], HERE, NOW_S)
    assert (tmp_path / "facts.json").stat().st_size > 0
