import pytest

from coracle.core.errors import Broken, Exhausted, Invalid, Unavailable, Unsupported
from coracle.image import apt

TARGETS = """\
Debian|bookworm|bookworm|main|http://mirror.example/debian/
Debian|bookworm|bookworm|contrib|http://mirror.example/debian/
Debian|bookworm-updates|bookworm-updates|main|http://mirror.example/debian/
Debian|bookworm-security|bookworm-security|main|http://security.example/debian-security/
Debian|bookworm-backports|bookworm-backports|main|http://mirror.example/debian/
Debian|trixie|trixie|main|http://mirror.example/debian/
Debian|bookworm|bookworm|main|file:/srv/mirror/
Docker|bookworm|bookworm|stable|https://download.docker.com/linux/debian/
$(ORIGIN)|$(CODENAME)|nodistro|main|https://deb.nodesource.com/node_20.x/
""".splitlines()


def test_only_the_distributions_own_release_is_taken():
    assert apt.parse_targets(TARGETS, "Debian", "bookworm") == {
        "http://mirror.example/debian": (("bookworm", "bookworm-updates"), ("main", "contrib")),
        "http://security.example/debian-security": (("bookworm-security",), ("main",)),
    }


def test_ubuntus_pockets_share_a_codename():
    lines = [f"Ubuntu|noble|{suite}|main|http://x/ubuntu/" for suite in ("noble", "noble-updates", "noble-backports")]
    assert apt.parse_targets(lines, "Ubuntu", "noble") == {"http://x/ubuntu": (("noble", "noble-updates"), ("main",))}


def test_sources_inside_an_image_hold_no_password():
    sources = {"https://me:secret@mirror/debian": (("bookworm",), ("main",))}
    assert "me:secret@mirror" in apt.render_sources(sources, "/k.gpg", public=False)
    assert apt.render_sources(sources, "/k.gpg", public=True) == (
        "Types: deb\nURIs: https://mirror/debian\nSuites: bookworm\nComponents: main\nSigned-By: /k.gpg\n"
    )


def test_without_lists_the_asked_release_decides():
    lines = [
        f"Debian|$(CODENAME)|{suite}|main|http://x/debian/" for suite in ("bookworm", "bookworm-backports", "stable")
    ]
    assert apt.parse_targets(lines, "Debian", "bookworm") == {"http://x/debian": (("bookworm",), ("main",))}


def test_the_distribution_is_read(tmp_path):
    release = tmp_path / "os-release"
    release.write_text('PRETTY_NAME="x"\nID=ubuntu\nVERSION_CODENAME=noble\nVERSION_ID="24.04"\n')
    found = apt.read_distribution(release)
    assert (found.id, found.names) == ("ubuntu", {"id": "ubuntu", "codename": "noble", "version": "24.04"})
    release.write_text("ID=fedora\n")
    with pytest.raises(Unsupported, match="fedora"):
        apt.read_distribution(release)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dlstatus:1:33.3333:Retrieving file 1 of 3", ("downloading", 33)),
        ("pmstatus:nginx:60.0000:Unpacking nginx (amd64)", ("installing", 60)),
        ("pmstatus:libc6:amd64:60.0000:Unpacking", None),
        ("Setting up nginx", None),
        ("", None),
    ],
)
def test_progress_is_understood(line, expected):
    assert apt.parse_status(line) == expected


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (["Reading package lists...", "E: Unable to locate package nope"], Invalid, "x: Unable to locate package nope"),
        (["E: Failed to fetch http://m/x  Could not resolve 'm'", "E: Unable to fetch some archives"], Unavailable,
         "x: Failed to fetch http://m/x  Could not resolve 'm'"),
        (["dpkg: error processing archive /x.deb", " No space left on device"], Exhausted, "x: dpkg: error"),
        (["something odd"], Broken, "x: something odd"),
        ([], Broken, "x: no reason given"),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_apts_words(said, error, message):
    found = apt.to_error(said, "x")
    assert type(found) is error
    assert found.message.startswith(message)


@pytest.mark.parametrize(
    ("candidate", "found"),
    [
        ("3.11.2-1+b1", ("3", "3.11")),
        ("15+248+deb12u1", ("15", "15")),
        ("1:10.11.19-0+deb12u1", ("10", "10.11")),
        ("(none)", None),
    ],
)
def test_the_version_that_would_be_installed(candidate, found):
    said = f"x:\n  Installed: 1.0\n  Candidate: {candidate}\n  Version table:\n     2.0 500\n"
    assert apt.parse_policy(said) == found
