"""The ways to ask for a mount, each parsed to a MountPoint: `-v` texts, `--mount` objects, `--tmpfs`.  Pure.

    Binds    "data:/srv", "/host/dir:/srv:ro,z", "/srv"        a relative source is a volume's name
    Mounts   {"Type": "bind", "Source": ..., "Target": ..., "BindOptions": {...}}
    Tmpfs    {"/run": "size=64m,noexec"}

Source: moby volume/mounts/linux_parser.go (rules and messages).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.docker.volumes.points import QUIET, MountPoint, Sort

PROPAGATIONS = frozenset({"private", "rprivate", "slave", "rslave", "shared", "rshared"})
_MODES = (frozenset({"rw", "ro"}), frozenset({"z", "Z"}), PROPAGATIONS, frozenset({"nocopy"}),
          frozenset({"consistent", "cached", "delegated", "default"}))  # fmt: skip
_ROOT = "invalid specification: destination can't be '/'"

_TMPFS_WORDS = """
    ro rw exec noexec suid nosuid dev nodev async sync dirsync atime noatime diratime nodiratime relatime norelatime
    strictatime nostrictatime remount bind rbind unbindable runbindable private rprivate shared rshared slave rslave
    mand nomand iversion noiversion defaults
"""
_TMPFS_FLAGS = frozenset(_TMPFS_WORDS.split())
_TMPFS_VALUES = frozenset({"mode", "uid", "gid", "size", "nr_inodes", "nr_blocks", "mpol"})


def parse_bind(raw: str, driver: str = "") -> MountPoint:
    """One of `Binds`.  Raises Malformed."""
    parts = raw.split(":", 3)
    wrong = Malformed(f"invalid volume specification: '{raw}'")
    if not parts[0] or len(parts) > 3 or (len(parts) == 2 and is_mode(parts[1])):
        raise wrong
    source, target = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    mode = parts[2] if len(parts) == 3 else ""
    if not is_mode(mode):
        raise Malformed(f"invalid mode: {mode}")
    words = mode.split(",")
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    sort: Sort = "bind" if source.startswith("/") else "volume"
    try:
        target = _target(sort, target)
        if sort == "volume" and propagation:
            raise _bad(sort, "field BindOptions must not be specified")
        if sort == "volume" and "ro" in words and not source:
            raise _bad(sort, "must not set ReadOnly mode when using anonymous volumes")
    except Malformed as error:
        raise Malformed(f"{wrong}: {error}") from None
    if sort == "bind":
        return MountPoint(
            type=sort,
            target=target,
            source=clean(source),
            mode=mode,
            read_only="ro" in words,
            propagation=propagation or "rprivate",
            make_source=True,
        )
    return MountPoint(
        type=sort,
        target=target,
        name=source,
        driver=driver or "local",
        mode=mode or ("z" if driver in ("", "local") else ""),
        read_only="ro" in words,
        copies="nocopy" not in words,
        anonymous=not source,
    )


def parse_mount(spec: Fields) -> MountPoint:
    """One of `Mounts`.  Raises Malformed."""
    sort = spec.text("Type")
    if sort not in _SORTS:
        _target(sort, spec.text("Target"))
        raise _bad(sort, "mount type unknown")
    target = _target(sort, spec.text("Target"))
    return _SORTS[sort](spec, target)


def parse_volumes_from(text: str) -> tuple[str, str]:
    """One of `VolumesFrom`: the container it names, and the mode.  Raises Malformed."""
    if not text:
        raise Malformed("volumes-from specification cannot be an empty string")
    name, _, mode = text.partition(":")
    words = set(mode.split(","))
    if not is_mode(mode) or words & PROPAGATIONS or "nocopy" in words:
        raise Malformed(f"invalid mode: {mode}")
    return name, mode or "rw"


def parse_tmpfs(target: str, options: str) -> MountPoint:
    """One of `Tmpfs`.  Raises Malformed."""
    if clean(target) == "/":
        raise Malformed(_ROOT)
    _require_absolute(target)
    words = [word for word in options.split(",") if word]
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in (_TMPFS_VALUES if equals else _TMPFS_FLAGS):
            raise Malformed(f"invalid tmpfs option [{_quote(name)} {_quote(word)}]")
    return MountPoint(type="tmpfs", target=clean(target), options=_tmpfs_options(words), listed=False)


def is_mode(text: str) -> bool:
    """Whether that can stand third in a bind: words of different sorts, none twice."""
    if not text:
        return True
    words = text.split(",")
    sorts = [next((sort for sort in _MODES if word in sort), None) for word in words]
    return None not in sorts and len(set(sorts)) == len(sorts)


def clean(path: str) -> str:
    """A path without detours; "//x" too is "/x"."""
    return posixpath.normpath(re.sub("^/+", "/", path))


def _bind(spec: Fields, target: str) -> MountPoint:
    source, options = spec.text("Source"), spec.fields("BindOptions")
    if not source:
        raise _bad("bind", "field Source must not be empty")
    propagation = options.text("Propagation")
    if propagation and propagation not in PROPAGATIONS:
        raise _bad("bind", f"invalid propagation mode: {propagation}")
    _refuse(spec, "bind", "VolumeOptions", "ImageOptions")
    _require_absolute(source, "bind")
    return MountPoint(
        type="bind",
        target=target,
        source=clean(source),
        read_only=spec.flag("ReadOnly"),
        propagation=propagation or "rprivate",
        recursive=not options.flag("NonRecursive"),
        make_source=options.flag("CreateMountpoint"),
    )


def _volume(spec: Fields, target: str) -> MountPoint:
    name, options = spec.text("Source"), spec.fields("VolumeOptions")
    _refuse(spec, "volume", "BindOptions", "ImageOptions")
    subpath, driver = options.text("Subpath"), options.fields("DriverConfig")
    if subpath and not name:
        raise _bad("volume", "must not set Subpath when using anonymous volumes")
    _require_local(subpath, "volume")
    if spec.flag("ReadOnly") and not name:
        raise _bad("volume", "must not set ReadOnly mode when using anonymous volumes")
    kind = driver.text("Name") or "local"
    return MountPoint(
        type="volume",
        target=target,
        name=name,
        driver=kind,
        mode="z" if kind == "local" else "",
        read_only=spec.flag("ReadOnly"),
        copies=not options.flag("NoCopy"),
        anonymous=not name,
        subpath=subpath,
        volume_options=driver.text_map("Options"),
        labels=options.text_map("Labels"),
    )


def _tmpfs(spec: Fields, target: str) -> MountPoint:
    _refuse(spec, "tmpfs", "BindOptions", "VolumeOptions", "ImageOptions")
    if spec.text("Source"):
        raise _bad("tmpfs", "field Source must not be specified")
    asked = spec.fields("TmpfsOptions")
    words = ["ro"] if spec.flag("ReadOnly") else []
    if asked.number("Mode"):
        words.append(f"mode={asked.number('Mode'):o}")
    if asked.number("SizeBytes"):
        words.append(f"size={asked.number('SizeBytes')}")
    return MountPoint(
        type="tmpfs",
        target=target,
        options=_tmpfs_options([*words, *_more_tmpfs_options(asked)]),
        read_only=spec.flag("ReadOnly"),
    )


def _more_tmpfs_options(asked: Fields) -> list[str]:
    pairs = asked.raw("Options")
    if pairs is None:
        return []
    words = []
    for pair in pairs if isinstance(pairs, list) else [None]:
        if not isinstance(pair, list) or not 1 <= len(pair) <= 2 or not all(isinstance(one, str) for one in pair):
            raise _bad("tmpfs", "invalid option array length")
        if pair[0] not in ("exec", "noexec"):
            raise _bad("tmpfs", f"invalid option: {pair[0]}")
        words.append("=".join(pair))
    return words


def _image(spec: Fields, target: str) -> MountPoint:
    _refuse(spec, "image", "BindOptions", "VolumeOptions")
    if not spec.text("Source"):
        raise _bad("image", "field Source must not be empty")
    subpath = spec.fields("ImageOptions").text("Subpath")
    _require_local(subpath, "image")
    return MountPoint(
        type="image",
        target=target,
        source=spec.text("Source"),
        read_only=spec.flag("ReadOnly"),
        propagation="rprivate",
        subpath=subpath,
    )


_SORTS: dict[str, Callable[[Fields, str], MountPoint]] = {
    "bind": _bind,
    "volume": _volume,
    "tmpfs": _tmpfs,
    "image": _image,
}


def _tmpfs_options(words: list[str]) -> tuple[str, ...]:
    """The default ones, with what is asked for in place of its opposite."""
    default = [word for word in ("noexec", *QUIET) if word.removeprefix("no") not in words and word not in words]
    return (*default, *words)


def _target(sort: str, target: str) -> str:
    if not target:
        raise _bad(sort, "field Target must not be empty")
    if clean(target) == "/":
        raise _bad(sort, _ROOT)
    _require_absolute(target, sort)
    return clean(target)


def _require_absolute(path: str, sort: str | None = None) -> None:
    if not path.startswith("/"):
        said = f"invalid mount path: '{path}' mount path must be absolute"
        raise Malformed(said) if sort is None else _bad(sort, said)
    if "\0" in path:
        raise Malformed(f"invalid mount path: {path[:100]!r}")


def _require_local(subpath: str, sort: str) -> None:
    parts = clean(subpath).split("/")
    if subpath and (subpath.startswith("/") or parts[0] == ".." or "\0" in subpath):
        raise _bad(sort, "subpath must be a relative path within the volume")


def _refuse(spec: Fields, sort: str, *names: str) -> None:
    for name in names:
        if name in spec:
            raise _bad(sort, f"field {name} must not be specified")


def _bad(sort: str, said: str) -> Malformed:
    return Malformed(f"invalid mount config for type {_quote(sort)}: {said}")


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
