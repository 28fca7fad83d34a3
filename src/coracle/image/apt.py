"""What we need to know of apt: where this machine's distribution comes from, how to ask for its packages, what it says.

Packages come from the machine's own sources of its own distribution (Origin Debian or Ubuntu, the running release),
never from lists that somebody added: an image should be what its name says.  How the machine reaches them (proxies,
certificates, passwords) is used while building and does not enter the image.

Source: apt.conf(5), sources.list(5), apt-get(8) "indextargets", apt's README.progress-reporting.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from coracle.core.errors import Broken, CloudError, Exhausted, Invalid, Unavailable, Unsupported

Sources = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
"""By address: the suites and the components taken from there."""

_ORIGINS = {"debian": "Debian", "ubuntu": "Ubuntu"}
_POCKETS = ("", "-updates", "-security")  # not backports, not proposed


@dataclass(frozen=True, slots=True)
class Distribution:
    """`id` debian or ubuntu; `codename` bookworm; `version` 12; `keyring` a path that image and machine share."""

    id: str
    codename: str
    version: str
    keyring: str = ""

    @property
    def key(self) -> str:
        """What a built image depends on besides its recipe."""
        return f"{self.id}/{self.codename}/{platform.machine()}"

    @property
    def names(self) -> dict[str, str]:
        """What recipes may say in braces."""
        return {"id": self.id, "codename": self.codename, "version": self.version}


def read_distribution(release: Path = Path("/etc/os-release")) -> Distribution:
    """This machine's distribution.  Raises Unsupported."""
    words = _parse_release(release.read_text() if release.exists() else "")
    id, codename = words.get("ID", ""), words.get("VERSION_CODENAME", "")
    if id not in _ORIGINS or not codename:
        raise Unsupported(f"images are built from Debian or Ubuntu packages, this is {id or 'neither'}", status=501)
    keyring = f"/usr/share/keyrings/{id}-archive-keyring.gpg"
    return Distribution(
        id,
        codename,
        words.get("VERSION_ID", ""),
        keyring if Path(keyring).exists() else "",
    )


def _parse_release(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines())
    return {name: value.strip("\"'") for name, _, value in lines}


_TARGET = "$(ORIGIN)|$(CODENAME)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)"


def read_sources(distribution: Distribution) -> Sources:
    """The machine's own sources of its own distribution.  Blocks for half a second (asks apt).  Raises Unsupported."""
    origin = _ORIGINS[distribution.id]
    found = parse_targets(_ask_targets(), origin, distribution.codename)
    if not found:  # no lists were fetched yet: then nobody knows origins, and the keyring alone keeps others out
        lines = (line.replace("$(ORIGIN)", origin) for line in _ask_targets("--no-release-info"))
        found = parse_targets(lines, origin, distribution.codename)
    if not found:
        raise Unsupported(f"apt has no source for {origin} {distribution.codename}: see sources.list(5)", status=501)
    return found


def _ask_targets(*options: str) -> list[str]:
    asked = ["apt-get", *options, "indextargets", "--format", _TARGET, "Created-By: Packages"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()


def parse_targets(lines: Iterable[str], origin: str, codename: str) -> Sources:
    """The lines of `apt-get indextargets` that are `origin`'s own release, reached over http(s).

    Ubuntu calls the pockets by the release's own codename, so what was asked for (RELEASE) decides.
    """
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for line in lines:
        fields = line.split("|")
        if len(fields) != 5 or fields[0] != origin or urlsplit(fields[4]).scheme not in ("http", "https"):
            continue
        _, from_codename, release, component, address = fields
        is_known = not from_codename.startswith("$(")
        if is_known and not f"{from_codename}-".startswith(f"{codename}-"):
            continue
        if release in {codename + pocket for pocket in _POCKETS}:
            suites, components = found.setdefault(address.rstrip("/"), ({}, {}))
            suites[release] = components[component] = None
    return {address: (tuple(suites), tuple(components)) for address, (suites, components) in found.items()}


def render_sources(sources: Sources, keyring: str, *, public: bool) -> str:
    """The sources in deb822 form; `public` leaves out names and passwords in addresses, for use inside an image."""
    stanzas = []
    for address, (suites, components) in sources.items():
        lines = [
            "Types: deb",
            f"URIs: {_without_password(address) if public else address}",
            f"Suites: {' '.join(suites)}",
            f"Components: {' '.join(components)}",
            *([f"Signed-By: {keyring}"] if keyring else []),
        ]
        stanzas.append("\n".join(lines) + "\n")
    return "\n".join(stanzas)


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


_REACH = re.compile(r'Acquire::(?:https?(?:::[^ ]+)?|Retries|ForceIPv[46]|Check-Valid-Until) "[^"]+";')


def read_reach() -> str:
    """apt.conf lines that say how this machine reaches its sources: proxies, certificates, retries."""
    ended = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    return "".join(f"{line}\n" for line in ended.stdout.splitlines() if _REACH.fullmatch(line))


def render_config(root: Path, lists: Path, archives: Path, sources: Path, *, reach: str) -> str:
    """apt.conf for an apt that runs outside `root`, installs into it and keeps lists and packages elsewhere.

    Hooks and settings of the machine's apt.conf.d are left out: they are about the machine.
    """
    return f"""\
Dir "{root}";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/etc/apt/trusted.gpg";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::State::lists "{lists}";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Cache::archives "{archives}";
Dir::Bin::methods "/usr/lib/apt/methods";
Dir::Bin::solvers "/usr/lib/apt/solvers";
Dir::Bin::planners "/usr/lib/apt/planners";
Dir::Log::Terminal "";
Dir::Log::History "";
Dir::Log::Planner "";
APT::Architecture "{_architecture()}";
APT::Architectures "{_architecture()}";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
DPkg::Chroot-Directory "{root}";
DPkg::Use-Pty "false";
DPkg::Options {{ "--force-unsafe-io"; "--force-confdef"; "--force-confold"; }};
{reach}"""


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "ppc64le": "ppc64el"}


def _architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def quiet_environment(config: Path | None = None) -> dict[str, str]:
    """The environment for package tools: nobody answers questions, one language, the machine's proxies."""
    proxies = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "DEBCONF_NONINTERACTIVE_SEEN": "true",
        **({"APT_CONFIG": str(config)} if config else {}),
        **proxies,
    }


_STATUS = re.compile(r"(dl|pm)status:([^:]*):([0-9.]+):(.*)")


_CANDIDATE = re.compile(r"^  Candidate: (?:\d+:)?(\d+)(?:\.(\d+))?", re.MULTILINE)


def read_version(package: str) -> tuple[str, str] | None:
    """The major and minor version ("3", "3.11") of a package as this machine would install it; None: not known.

    Blocks: apt reads its lists.
    """
    try:
        ended = subprocess.run(
            ["apt-cache", "policy", package],
            env=quiet_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return parse_policy(ended.stdout)


def parse_policy(text: str) -> tuple[str, str] | None:
    """As read_version, from what `apt-cache policy` says; pure."""
    found = _CANDIDATE.search(text)
    if found is None:
        return None
    return found[1], f"{found[1]}.{found[2]}" if found[2] else found[1]


def parse_status(line: str) -> tuple[str, int] | None:
    """What apt is doing and how many percent of it are done, if `line` (from APT::Status-Fd) says so."""
    found = _STATUS.fullmatch(line)
    if found is None:
        return None
    return ("downloading" if found[1] == "dl" else "installing"), int(float(found[3]))


_COMPLAINT = re.compile(r"(?:E|dpkg|dpkg-deb|tar|mmdebstrap)?:? ?(?:E: |error: |dpkg: error)(.+)")


def to_error(lines: Iterable[str], what: str) -> CloudError:
    """The error for a build that failed, from the last lines it said: apt's own first complaint, and its class."""
    said = [line for line in lines if line]
    complaints = [line for line in said if _COMPLAINT.match(line)]
    line = (complaints or said or ["no reason given"])[0 if complaints else -1].removeprefix("E: ")
    text = f"{what}: {line}"
    everything = "\n".join(said)
    if "Unable to locate package" in everything or "has no installation candidate" in everything:
        return Invalid(message=text, kind="Package")
    if "No space left" in everything or "enough free space" in everything:
        return Exhausted(text)
    if any(
        sign in everything for sign in ("Could not resolve", "Failed to fetch", "Could not connect", "Unable to fetch")
    ):
        return Unavailable(text)
    return Broken(text)
