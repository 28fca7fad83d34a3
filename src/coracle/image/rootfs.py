"""The commands that turn an empty directory or a base into an image's files: text only, `debian.py` runs them.

Source: mmdebstrap(1); debian's docker images for what a small root file system leaves out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from coracle.image.apt import Distribution
from coracle.image.catalogue import Recipe
from coracle.image.snapshots.inside import Command

# What dpkg leaves out, in the base and in all that is installed over it later, by users too: the licences stay.
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/linda/*",
)
# Removed from what was installed: caches, logs, and what would say when and where it was built.
LITTER = (
    "/var/cache/apt/pkgcache.bin",
    "/var/cache/apt/srcpkgcache.bin",
    "/var/cache/debconf/config.dat-old",
    "/var/cache/debconf/templates.dat-old",
    "/var/cache/ldconfig/aux-cache",
    "/var/lib/dpkg/status-old",
    "/var/lib/dpkg/diversions-old",
    "/var/lib/dpkg/available",
    "/var/lib/systemd",
    "/var/log/dpkg.log",
    "/var/log/apt",
    "/var/log/alternatives.log",
    "/var/log/bootstrap.log",
    "/etc/machine-id",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/apt/apt.conf.d/99mmdebstrap",
    "/etc/apt/preferences.d/coracle",
    "/etc/apt/sources.list.d/0000sources.sources",
    "/usr/sbin/policy-rc.d",
)
# What mmdebstrap says, in our words.
BOOTSTRAP_STEPS = {
    "I: running apt-get update...": "fetching package lists",
    "I: downloading packages with apt...": "downloading",
    "I: extracting archives...": "extracting",
    "I: installing essential packages...": "installing",
    "I: installing remaining packages inside the chroot...": "configuring",
}
# Releases whose own packages still leave merging /bin into /usr/bin to a package that needs all of perl.
_UNMERGED = ("bullseye", "bookworm", "focal", "jammy")

_MERGE = """\
for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done
mkdir -p "$1/etc/apt/preferences.d"
printf 'Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n' > "$1/etc/apt/preferences.d/coracle"
"""
_SETUP = """\
#!/bin/sh
set -e
{merge}mkdir -p "$1/var/cache/apt/archives" "$1/var/lib/apt/lists"
mount --bind {archives} "$1/var/cache/apt/archives"
mount --bind {lists} "$1/var/lib/apt/lists"
"""
_FINISH = """\
#!/bin/sh
set -e
umount "$1/var/cache/apt/archives" "$1/var/lib/apt/lists"
mkdir -p "$1/var/cache/apt/archives/partial" "$1/var/lib/apt/lists/partial"
"""
_POLICY = "#!/bin/sh\nexit 101\n"  # invoke-rc.d: start nothing


def hooks(distribution: Distribution, archives: Path, lists: Path) -> tuple[str, str]:
    """The scripts for mmdebstrap's setup and customize hooks."""
    merge = _MERGE if distribution.codename in _UNMERGED else ""
    return _SETUP.format(merge=merge, archives=archives, lists=lists), _FINISH


def bootstrap(recipe: Recipe, distribution: Distribution, home: Path, *, fetch: bool) -> Iterable[Command]:
    """Make a whole distribution in `home`/merged, from the files that `debian.py` laid out in `home`."""
    skip = ["cleanup/apt/lists", "cleanup/apt/cache", "essential/unlink", "download/empty"]
    include = [*recipe.packages, *(["usr-is-merged"] if distribution.codename in _UNMERGED else [])]
    yield Command(
        (
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            f"--skip={','.join(skip if fetch else [*skip, 'update'])}",
            f"--setup-hook={home}/setup",
            f"--customize-hook={home}/finish",
            *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
            f"--aptopt={home}/reach.conf",
            *([f"--include={','.join(include)}"] if include else []),
            distribution.codename,
            f"{home}/merged",
            f"{home}/sources.sources",
        ),
        outside=True,
    )
    yield Command(("find", f"{home}/merged/dev", "-mindepth", "1", "-delete"), outside=True)


def update() -> Command:
    return _apt("update")


def _apt(*words: str) -> Command:
    """apt-get, telling how far it is on its standard output: by another number, for it hands that one on closed."""
    line = 'exec apt-get -q -o APT::Status-Fd=3 "$@" 3>&1'
    return Command(("sh", "-c", line, "sh", *words), outside=True)


def install(recipe: Recipe) -> Iterable[Command]:
    if recipe.packages:
        recommends = "true" if recipe.recommends else "false"
        yield Command(("sh", "-c", f"printf '{_POLICY!s}' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"))
        yield _apt("-y", "-o", f"APT::Install-Recommends={recommends}", "install", *recipe.packages)


_EMPTY = """\
for one in /tmp/* /tmp/.[!.]* /var/tmp/* /var/tmp/.[!.]* /run/* /run/.[!.]* /run/lock/*; do
  [ "$one" = /run/lock ] || rm -rf -- "$one"
done
"""  # not `find -delete`: busybox's cannot


def furnish(recipe: Recipe, home: Path) -> Iterable[Command]:
    """What the recipe wants besides packages, then cleaning up."""
    if recipe.remove:
        yield Command(("rm", "-rf", "--", *recipe.remove))
    if recipe.files or recipe.links or recipe.origin == "bootstrap":
        into = 'exec chroot "$1" tar -xp --keep-directory-symlink --no-overwrite-dir -C / < "$2"'
        yield Command(("sh", "-c", into, "sh", f"{home}/merged", f"{home}/files.tar"), outside=True)
    yield from (Command(("sh", "-ec", line)) for line in recipe.run)
    yield Command(("rm", "-rf", "--", *LITTER))
    yield Command(("sh", "-ec", _EMPTY))


def complete(recipe: Recipe, root: Path) -> None:
    """Make a root file system of packages that were only unpacked in `root`: the usual places, the recipe's files."""
    for name in ("dev", "proc", "sys", "tmp", "run", "etc", "root", "var"):
        (root / name).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    for name in ("bin", "sbin", "lib", "lib64"):
        if (root / "usr" / name).is_dir() and not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for useless in ("doc", "man", "info", "locale", "lintian"):
        shutil.rmtree(root / "usr/share" / useless, ignore_errors=True)
    for path, file in recipe.files.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).write_text(file.content)
        (root / path[1:]).chmod(file.mode)
    for path, target in recipe.links.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).symlink_to(target)


def file_entries(recipe: Recipe) -> tuple[Mapping[str, tuple[bytes, int]], Mapping[str, str]]:
    """The recipe's files and links as `tar.pack_files` takes them."""
    files = {path[1:]: (one.content.encode(), one.mode) for path, one in recipe.files.items()}
    return files, {path[1:]: target for path, target in recipe.links.items()}
