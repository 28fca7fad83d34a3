"""One build of an image from packages: a working directory, a layer made in it, the image's documents.

Called by `debian.PackageImages` with the cache's build lock held; runs the commands of `rootfs`.  Blocks.
"""

from __future__ import annotations

import collections
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from coracle.core.clock import Clock, rfc3339
from coracle.core.errors import Broken, Unsupported
from coracle.image import apt, rootfs
from coracle.image.apt import Distribution
from coracle.image.catalogue import Recipe, inherit
from coracle.image.config import History, ImageConfig, Settings
from coracle.image.digests import chain_ids
from coracle.image.layout import Layout, read_config, read_manifest
from coracle.image.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, Manifest, host_platform
from coracle.image.snapshots import tar
from coracle.image.snapshots.api import Layer, Limits
from coracle.image.snapshots.inside import Command, Inside, run_inside
from coracle.image.snapshots.layers import Layers

Progress = Callable[[str, int, int], None]
"""Told (step, done, total) from the building thread: `done` of `total` percent or parts of the step are behind us."""

LISTS_GOOD_S = 6 * 3600  # how long fetched package lists are taken as they are
_LAST_LINES = 60


@dataclass(frozen=True, slots=True)
class Build:
    """One build: a working directory, a layer made in it, the image's documents."""

    cache: Path
    layout: Layout
    recipe: Recipe
    distribution: Distribution
    clock: Clock
    progress: Progress

    @property
    def _apt(self) -> Path:
        return self.cache / "apt"

    def run(self, below: Descriptor | None) -> Descriptor:
        """Make the image on `below`.  Raises as PackageImages.build."""
        with self._home() as home:
            if self.recipe.origin == "unpack":
                at_s = self._unpack_packages(home)
            else:
                lower = self._lower(below) if below else ()
                self._install(home, lower)
                at_s = _release_s(self._apt / "lists")
            self.progress(f"{self.recipe.name}: packing", 0, 1)
            with self.layout.blobs.writer() as writer:
                diff_id = tar.pack(home / "upper", writer, latest_s=at_s)
                layer = Descriptor(OCI_LAYER, diff_id, writer.commit().size_bytes)
        return self._describe(below, layer, rfc3339(at_s))

    @contextmanager
    def _home(self) -> Iterator[Path]:
        """A fresh working directory, gone at the end; those that builds left that were killed go first."""
        work = self.cache / "work"
        shutil.rmtree(work, ignore_errors=True)
        home = work / secrets.token_hex(4)
        for name in ("upper", "work", "merged", "empty"):
            (home / name).mkdir(mode=0o755, parents=True)
        for name in ("lists/partial", "archives/partial"):
            (self._apt / name).mkdir(parents=True, exist_ok=True)
        try:
            yield home
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _lower(self, below: Descriptor) -> tuple[str, ...]:
        """The base's layers, unpacked in the cache, topmost first."""
        layers = Layers(self.cache / "unpacked", Limits())
        blobs = self.layout.blobs
        diff_ids = read_config(blobs, below).diff_ids
        chain = chain_ids(diff_ids)
        for at, (diff_id, layer) in enumerate(zip(diff_ids, read_manifest(blobs, below).layers, strict=True)):
            layers.unpack(Layer(chain[: at + 1], diff_id, blobs.path(layer.digest)))
        return tuple(str(path) for path in layers.paths(chain))

    def _install(self, home: Path, lower: tuple[str, ...]) -> None:
        """Fill `home`/upper by package tools over `lower`, or from nothing."""
        recipe, fetch = self.recipe, not self._lists_are_good()
        archives, lists = self._apt / "archives", self._apt / "lists"
        reach = apt.read_reach()
        self._seed_lists()
        _lay_out(home, recipe, self.distribution, reach, rootfs.hooks(self.distribution, archives, lists))
        merged = home / "merged"
        config = apt.render_config(
            merged, lists, merged / "var/cache/apt/archives", home / "sources.sources", reach=reach
        )
        (home / "apt.conf").write_text(config)
        if lower:
            update = [rootfs.update()] if fetch and recipe.packages else []
            commands = (*update, *rootfs.install(recipe), *rootfs.furnish(recipe, home))
            binds = {str(archives): "/var/cache/apt/archives"} if recipe.packages else {}  # bases without apt
            env = apt.quiet_environment(home / "apt.conf")
        else:
            commands = (
                *rootfs.bootstrap(recipe, self.distribution, home, fetch=fetch),
                *rootfs.furnish(recipe, home),
            )
            binds, env = {}, apt.quiet_environment()
        self._run(Inside(str(home), tuple(commands), lower, binds, env, bare=not lower))
        if fetch:
            (self._apt / "fetched").write_text(str(self.clock.now_s()))

    def _run(self, inside: Inside) -> None:
        last: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
        name = self.recipe.name
        self.progress(f"{name}: starting", 0, 100)

        def on_line(line: str) -> None:
            status = apt.parse_status(line)
            if status:
                self.progress(f"{name}: {status[0]}", status[1], 100)
            elif line.startswith("I: "):
                step = rootfs.BOOTSTRAP_STEPS.get(line)
                if step:
                    self.progress(f"{name}: {step}", 0, 1)
            elif "status:" not in line[:10]:
                last.append(line)

        if run_inside(inside, on_line):
            raise apt.to_error(last, f"image {name} cannot be built")

    def _lists_are_good(self) -> bool:
        """Whether package lists were fetched not long ago."""
        try:
            return 0 <= self.clock.now_s() - float((self._apt / "fetched").read_text()) < LISTS_GOOD_S
        except (FileNotFoundError, ValueError):
            return False

    def _seed_lists(self) -> None:
        """Start from the machine's lists: what did not change since then is not fetched again."""
        own, machine = self._apt / "lists", Path("/var/lib/apt/lists")
        if any(own.glob("*_InRelease")) or not machine.is_dir():
            return
        for path in machine.iterdir():
            if path.is_file() and path.name != "lock":
                shutil.copy2(path, own / path.name)

    def _unpack_packages(self, home: Path) -> int:
        """Fill `home`/upper with the packages' files, running none of their scripts; the time of the youngest."""
        (home / "debs").mkdir()
        self.progress(f"{self.recipe.name}: downloading", 0, 100)
        asked = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *self.recipe.packages]
        ended = _quiet(asked, home / "debs")
        if ended.returncode:  # the machine has no lists, or old ones
            (home / "apt.conf").write_text(self._outer_config(home))
            config = apt.quiet_environment(home / "apt.conf")
            ended = _quiet(["apt-get", "-q", "update"], home / "debs", config)
            ended = ended if ended.returncode else _quiet(asked, home / "debs", config)
        if ended.returncode:
            raise apt.to_error(ended.stdout.splitlines(), f"image {self.recipe.name} cannot be built")
        for deb in sorted((home / "debs").glob("*.deb")):
            self.progress(f"{self.recipe.name}: unpacking", 0, 1)
            ended = _quiet(["dpkg-deb", "--extract", str(deb), str(home / "upper")], home)
            if ended.returncode:
                raise Broken(f"{deb.name} cannot be unpacked: {ended.stdout.strip()[-200:]}")
        at_s = _newest_s(home / "upper")
        rootfs.complete(self.recipe, home / "upper")
        commands = tuple(Command(("sh", "-ec", line)) for line in self.recipe.run)
        if commands:
            self._run(Inside(str(home), commands, env=apt.quiet_environment()))
        return at_s

    def _outer_config(self, home: Path) -> str:
        """apt.conf for asking about packages where nothing is installed."""
        sources = apt.read_sources(self.distribution)
        (home / "sources.sources").write_text(apt.render_sources(sources, self.distribution.keyring, public=False))
        (home / "root/var/lib/dpkg").mkdir(parents=True)
        (home / "root/var/lib/dpkg/status").touch()
        paths = (home / "root", self._apt / "lists", self._apt / "archives", home / "sources.sources")
        return apt.render_config(*paths, reach=apt.read_reach())

    def _describe(self, below: Descriptor | None, layer: Descriptor, created: str) -> Descriptor:
        """Write configuration and manifest; the manifest's descriptor."""
        blobs, recipe = self.layout.blobs, self.recipe
        base = read_config(blobs, below) if below else ImageConfig(host_platform(), Settings(), ())
        layers = read_manifest(blobs, below).layers if below else ()
        by = f"coracle: {' '.join(recipe.packages) or recipe.name}"
        config = ImageConfig(
            base.platform,
            inherit(recipe.settings, base.settings),
            (*base.diff_ids, layer.digest),
            (
                *base.history,
                History(created, by, f"from {self.distribution.id} {self.distribution.codename} packages"),
            ),
            created,
        )
        stored = blobs.put(config.encode())
        manifest = Manifest(Descriptor(OCI_CONFIG, stored.digest, stored.size_bytes), (*layers, layer))
        written = blobs.put(manifest.encode())
        return Descriptor(OCI_MANIFEST, written.digest, written.size_bytes, platform=config.platform)


def _lay_out(home: Path, recipe: Recipe, distribution: Distribution, reach: str, hooks: tuple[str, str]) -> None:
    """Write the files that the commands of `rootfs` read."""
    setup, finish = hooks
    for name, text in (("setup", setup), ("finish", finish)):
        (home / name).write_text(text)
        (home / name).chmod(0o755)
    (home / "reach.conf").write_text(reach + 'Acquire::Retries "3";\n')
    sources = apt.read_sources(distribution)
    (home / "sources.sources").write_text(apt.render_sources(sources, distribution.keyring, public=False))
    files, links = rootfs.file_entries(recipe)
    if recipe.origin == "bootstrap":
        listed = f"etc/apt/sources.list.d/{distribution.id}.sources"
        files = {**files, listed: (apt.render_sources(sources, distribution.keyring, public=True).encode(), 0o644)}
    with (home / "files.tar").open("wb") as out:
        tar.pack_files(dict(files), dict(links), out, 0)


def _quiet(argv: list[str], cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            cwd=cwd,
            env=env or apt.quiet_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise Unsupported(f"{argv[0]} is needed to build images", status=501) from None


_DATE = re.compile(rb"^Date: (.+)$", re.MULTILINE)


def _release_s(lists: Path) -> int:
    """When the newest release in the package lists was made: seconds since 1970."""
    dates = [_DATE.search(path.read_bytes()[:4096]) for path in lists.glob("*Release")]
    return max((int(parsedate_to_datetime(date[1].decode()).timestamp()) for date in dates if date), default=0)


def _newest_s(root: Path) -> int:
    """The youngest file's time: whole seconds since 1970."""
    return max((int(os.lstat(path).st_mtime) for path in root.rglob("*") if not path.is_dir()), default=0)
