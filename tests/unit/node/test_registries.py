import pytest

from coracle.core.errors import Invalid, Malformed
from coracle.node.registries import read_mirrors


def read(tmp_path, text):
    (tmp_path / "registries.toml").write_text(text)
    return read_mirrors(tmp_path)


def test_registries_and_their_mirrors(tmp_path):
    mirrors = read(
        tmp_path,
        '[[registry]]\nname = "docker.io"\nendpoints = ["https://a", "https://b"]\nusername = "me"\npassword = "x"\n',
    )
    assert [(one.url, one.username) for one in mirrors.of("docker.io")] == [("https://a", "me"), ("https://b", "me")]


def test_an_insecure_registry_is_asked_by_https_and_http(tmp_path):
    (safe, plain) = read(tmp_path, '[[registry]]\nname = "reg.lan:5000"\ninsecure = true\n').of("reg.lan:5000")
    assert (safe.url, safe.verified, safe.is_own) == ("https://reg.lan:5000", False, True)
    assert (plain.url, plain.plain, plain.is_own) == ("http://reg.lan:5000", True, True)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[[registry]]\n", Malformed),
        ('[[registry]]\nname = "x"\n', Malformed),
        ('[[registry]]\nname = "x"\ninsecure = "yes"\n', Malformed),
        ('[[registry]]\nname = "x"\nendpoints = ["http://x"]\n', Invalid),
        ('[[registry]]\nname = "x"\nendpoints = ["ftp://x"]\ninsecure = true\n', Invalid),
        ("registry = 5\n", Malformed),
        ("[", Malformed),
    ],
)
def test_what_cannot_be_read(tmp_path, text, error):
    with pytest.raises(error):
        read(tmp_path, text)


def test_certificates_are_looked_for_beside(tmp_path):
    (tmp_path / "certs.d" / "reg:5000").mkdir(parents=True)
    assert read_mirrors(tmp_path).trust.of("reg:5000") == tmp_path / "certs.d" / "reg:5000"
