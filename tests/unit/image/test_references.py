import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.core.errors import Malformed
from coracle.image.references import parse_reference

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        pytest.param("nginx", "docker.io/library/nginx:latest", "nginx:latest", id="an official image"),
        pytest.param("nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25", id="a tag"),
        pytest.param("docker/whalesay", "docker.io/docker/whalesay:latest", "docker/whalesay:latest", id="a user's"),
        pytest.param("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest", id="docker.io spelled out"),
        pytest.param("docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest", id="in full"),
        pytest.param("index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest", id="docker.io's old name"),
        pytest.param("library/nginx", "docker.io/library/nginx:latest", "nginx:latest", id="library spelled out"),
        pytest.param("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest", id="library is a user here"),
        pytest.param("localhost/a", "localhost/a:latest", "localhost/a:latest", id="localhost is a registry"),
        pytest.param("localhost:5000/a/b:1", "localhost:5000/a/b:1", "localhost:5000/a/b:1", id="a port and a tag"),
        pytest.param("quay.io/a", "quay.io/a:latest", "quay.io/a:latest", id="another registry"),
        pytest.param("REG/a", "REG/a:latest", "REG/a:latest", id="capitals make a registry"),
        pytest.param("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest", id="a number of version 6"),
        pytest.param(f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}", f"a@{DIGEST}", id="a digest"),
        pytest.param(f"a:1@{DIGEST}", f"docker.io/library/a:1@{DIGEST}", f"a:1@{DIGEST}", id="a tag and a digest"),
        pytest.param("x/a__b.c-d--e_f", "docker.io/x/a__b.c-d--e_f:latest", "x/a__b.c-d--e_f:latest", id="separators"),
    ],
)
def test_names_mean(text, full, familiar):
    reference = parse_reference(text)
    assert (str(reference), reference.familiar) == (full, familiar)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ":", "a:", "a:..", "a:-x", "a:" + "x" * 129, "a:x y", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a.",
        "-a", "a_", "a___b", "a..b", "Nginx", "a/B", "a@", "a@sha256:../../x", f"a@md5:{HEX[:32]}",
        f"a@sha256:{HEX[:-1]}",
        f"a@sha256:{HEX.upper()}", f"a@sha512:{HEX * 2}", HEX, "localhost:99999/x", "localhost:/x", "ho_st.x/a",
        "-h.x/a", "a\n", "a\0", "ä", "a:ä",
        "http://a/b", "x" * 256, f"a@{DIGEST}@{DIGEST}", "a:1:2", "-x.io/a",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(text):
    with pytest.raises(Malformed):
        parse_reference(text)


def test_capitals_are_explained():
    with pytest.raises(Malformed, match=r"repository name \(library/Nginx\) must be lowercase"):
        parse_reference("Nginx")


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_refused(text):
    try:
        reference = parse_reference(text)
    except Malformed:
        return
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference


def test_another_tag_drops_the_digest():
    assert str(parse_reference(f"a:1@{DIGEST}").with_tag("2")) == "docker.io/library/a:2"
    with pytest.raises(Malformed):
        parse_reference("a").with_tag("..")
