from ipaddress import IPv4Address

from cryptography import x509

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
