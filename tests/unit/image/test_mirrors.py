from dataclasses import replace

import pytest

from contract.registries import write_certificates
from coracle.core.errors import Invalid
from coracle.image.doors import Endpoint
from coracle.image.registry import Mirrors
from coracle.image.terms import Login
from coracle.image.trust import Trust

ME = Login("me", "secret")


def urls(mirrors, registry):
    return [endpoint.url for endpoint in mirrors.of(registry)]


def test_where_registries_are_asked():
    mirrors = Mirrors({"docker.io": (Endpoint("https://mirror.example"),)})
    assert urls(mirrors, "docker.io") == ["https://mirror.example"]
    assert urls(Mirrors(), "docker.io") == []
    assert urls(mirrors, "quay.io") == ["https://quay.io"]
    for here in ("localhost:5000", "127.0.0.1:5000", "[::1]:5000"):
        assert urls(mirrors, here) == [f"https://{here}", f"http://{here}"]


def test_on_this_machine_any_certificate_will_do_unless_one_is_expected(tmp_path):
    assert [one.verified for one in Mirrors().of("quay.io")] == [True]
    assert Mirrors().of("localhost:5000")[0].verified is False
    (tmp_path / "localhost:5000").mkdir()
    assert Mirrors(trust=Trust((tmp_path,))).of("localhost:5000")[0].verified is True


def test_a_password_is_told_to_the_registry_itself_and_to_no_mirror():
    mirror, own = Endpoint("https://mirror.example"), Endpoint("https://reg.example")
    mirrors = Mirrors({"reg.example": (mirror, own)})
    assert [one.login(ME) for one in mirrors.of("reg.example")] == [Login(), ME]
    configured = replace(mirror, username="robot", password="r")
    assert Mirrors({"reg.example": (configured,)}).of("reg.example")[0].login(ME) == Login("robot", "r")
    assert Mirrors().of("quay.io")[0].login(ME) == ME
    assert "secret" not in repr(ME)


def test_plain_http_elsewhere_only_where_that_is_said():
    with pytest.raises(Invalid):
        Mirrors({"reg": (Endpoint("http://192.0.2.1"),)})
    assert urls(Mirrors({"reg": (Endpoint("http://192.0.2.1", plain=True),)}), "reg") == ["http://192.0.2.1"]


@pytest.mark.parametrize("host", ["", ".", "..", "a/b", "../x"])
def test_certificates_are_looked_for_below_their_directory_only(tmp_path, host):
    (tmp_path / "x").mkdir()
    assert Trust((tmp_path / "certs.d",)).of(host) is None


def test_certificates_of_a_registry(tmp_path):
    place = tmp_path / "reg:5000"
    place.mkdir()
    write_certificates(place)
    (place / "server.key").unlink()
    trust = Trust((tmp_path,))
    before = len(trust.context("other:5000").get_ca_certs())
    assert len(trust.context("reg:5000").get_ca_certs()) > before
    assert trust.context("reg:5000", verified=False).check_hostname is False
    (place / "broken.crt").write_text("no certificate")
    with pytest.raises(Invalid, match="cannot be used"):
        trust.context("reg:5000")
