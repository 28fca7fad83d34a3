"""Layers for tests: tars made in memory, stored as blobs."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from coracle.image.digests import chain_ids, digest_of
from coracle.image.snapshots.api import Layer


def entry(name, content=b"", *, mode=0o644, kind=tarfile.REGTYPE, link="", **more):
    """A member and its content; `more` sets fields of the TarInfo (uid, mtime, pax_headers, devmajor ...)."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, link, len(content)
    for field, value in more.items():
        setattr(info, field, value)
    return info, content


def folder(name, mode=0o755, **more):
    return entry(name, mode=mode, kind=tarfile.DIRTYPE, **more)


def symlink(name, target):
    return entry(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(name, target):
    return entry(name, kind=tarfile.LNKTYPE, link=target)


def tar_of(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def stack(root: Path, *tars: bytes, packed=gzip.compress, compression="gzip") -> list[Layer]:
    """The tars as layers on top of each other, the first lowest, their blobs below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    diff_ids = [digest_of(tar) for tar in tars]
    chain = chain_ids(diff_ids)
    layers = []
    for at, tar in enumerate(tars):
        blob = root / f"{diff_ids[at][7:]}.{compression}"
        blob.write_bytes(packed(tar))
        layers.append(Layer(chain[: at + 1], diff_ids[at], blob, compression))
    return layers
