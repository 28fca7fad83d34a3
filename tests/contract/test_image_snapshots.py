"""The drivers that touch Linux, on Linux: overlayfs and plain copies, with layers from strangers."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from coracle.core.errors import Unsupported
from coracle.image.digests import chain_ids, digest_of
from coracle.image.snapshots.api import Layer
from coracle.image.snapshots.copy import CopySnapshotter
from coracle.image.snapshots.overlay import OverlaySnapshotter
from suites.layers import entry, folder, stack, tar_of
from suites.snapshotter_suite import BASE, NEXT, HostileLayersSuite, tree


class TestOverlaySnapshotter(HostileLayersSuite):
    def make(self, root):
        return OverlaySnapshotter(root)

    def make_small(self, root):
        return OverlaySnapshotter(root, self.SMALL)

    def test_a_hundred_layers_mount(self, snapshots, tmp_path):
        chain = self.unpack(snapshots, tmp_path, *(tar_of(entry(f"f{at}", b"x")) for at in range(100)))
        assert len(os.listdir(snapshots.mount("one", chain))) == 100

    def test_read_only_refuses_writes(self, snapshots, chain):
        with pytest.raises(OSError, match="Read-only"):
            (snapshots.mount("one", chain, read_only=True) / "new").write_text("new")

    def test_layers_are_not_written_to(self, snapshots, chain):
        root = snapshots.mount("one", chain)
        (root / "etc/passwd").write_text("mine")
        (root / "bin").unlink()
        assert (snapshots.mount("two", chain) / "bin").read_bytes() == b"#!"

    def test_mounts_stay_below_the_directory(self, snapshots, chain, tmp_path):
        before = Path("/proc/self/mounts").read_text()
        root = snapshots.mount("one", chain)
        assert root.is_relative_to(tmp_path / "snapshots")
        snapshots.remove("one")
        assert Path("/proc/self/mounts").read_text() == before

    def test_what_a_snapshot_changed_becomes_a_layer(self, snapshots, chain, tmp_path):
        root = snapshots.mount("one", chain)
        (root / "etc/passwd").write_text("mine")
        (root / "data/c").unlink()
        (root / "data").rmdir()
        (root / "data").mkdir()
        (root / "data/d").write_text("d")
        os.link(root / "data/d", root / "data/e")
        (root / "bin").unlink()
        os.setxattr(root / "data/d", "user.note", b"hello")
        out = io.BytesIO()
        diff_id = snapshots.pack("one", out)
        assert diff_id == digest_of(out.getvalue())
        (tmp_path / "packed").write_bytes(out.getvalue())
        layers = [*stack(tmp_path / "blobs", BASE, NEXT)]
        full = chain_ids([*(layer.diff_id for layer in layers), diff_id])
        snapshots.unpack(Layer(full, diff_id, tmp_path / "packed"))
        again = snapshots.mount("two", full)
        assert tree(again) == tree(root)
        assert (again / "data/d").stat().st_ino == (again / "data/e").stat().st_ino
        assert os.getxattr(again / "data/d", "user.note") == b"hello"

    def test_what_was_made_to_mount_on_is_left_out_while_it_is_empty(self, snapshots, chain):
        root = snapshots.mount("one", chain)
        for name in ("hosts", "hostname"):
            (root / "etc" / name).touch()
        (root / "etc/hostname").write_text("mine")
        (root / "dev").mkdir()
        (root / "sys").mkdir()
        (root / "sys/own").touch()
        out = io.BytesIO()
        snapshots.pack("one", out, without={"/etc/hosts", "/etc/hostname", "/dev", "/sys"})
        out.seek(0)
        with tarfile.open(fileobj=out) as archive:
            assert archive.getnames() == ["etc", "sys", "etc/hostname", "sys/own"]

    def test_a_directory_made_anew_tells_what_is_not_in_it_any_more(self, snapshots, tmp_path):
        chain = self.unpack(snapshots, tmp_path, BASE)
        root = snapshots.mount("one", chain)
        shutil.rmtree(root / "data")
        (root / "data").mkdir()
        (root / "data/a").write_text("again")
        told = {(change.kind, change.path) for change in snapshots.changes("one")}
        assert told == {("modified", "/data"), ("modified", "/data/a"), ("deleted", "/data/b")}

    def test_a_directory_swapped_for_a_link_is_not_walked(self, snapshots, chain, tmp_path):
        """Links in the upper layer would lead to the host's files."""
        root = snapshots.mount("one", chain)
        (root / "new").mkdir()
        changes = snapshots.changes("one")
        first = next(changes)
        (root / "new").rmdir()
        (root / "new").symlink_to(tmp_path)
        assert [first.path, *(change.path for change in changes)] == ["/new"]

    def test_a_kept_snapshot_is_the_layer_that_its_packing_would_unpack_to(self, snapshots, chain, tmp_path):
        root = snapshots.mount("one", chain)
        (root / "etc/passwd").write_text("mine")
        (root / "bin").unlink()
        (root / "data/c").unlink()
        (root / "data").rmdir()
        (root / "data").mkdir()
        (root / "data/new").write_text("new")
        out = io.BytesIO()
        diff_id = snapshots.pack("one", out)
        full = (*chain, digest_of(f"{chain[-1]} {diff_id}".encode()))
        snapshots.keep("one", full)
        snapshots.sync()
        assert snapshots.list() == ()
        kept = tree(snapshots.mount("kept", full))
        other = OverlaySnapshotter(tmp_path / "other")
        (tmp_path / "packed").write_bytes(out.getvalue())
        try:
            self.unpack(other, tmp_path, BASE, NEXT)
            other.unpack(Layer(full, diff_id, tmp_path / "packed"))
            assert kept == tree(other.mount("again", full))
        finally:
            for id in other.list():
                other.remove(id)

    def test_keeping_what_is_there_already_only_drops_the_snapshot(self, snapshots, chain):
        for id in ("one", "two"):
            (snapshots.mount(id, chain) / "same").write_text("same")
        full = (*chain, "sha256:" + "1" * 64)
        snapshots.keep("one", full)
        snapshots.keep("two", full)
        assert snapshots.list() == ()
        assert (snapshots.mount("three", full) / "same").read_text() == "same"

    def test_packing_follows_no_link(self, snapshots, chain, tmp_path):
        root = snapshots.mount("one", chain)
        (root / "secret").symlink_to("/etc/hostname")
        out = io.BytesIO()
        snapshots.pack("one", out)
        assert Path("/etc/hostname").read_bytes().strip() not in out.getvalue()

    def test_the_root_looks_as_the_top_layer_says(self, snapshots, tmp_path):
        chain = self.unpack(snapshots, tmp_path, tar_of(folder("./", 0o751, uid=3)))
        found = snapshots.mount("one", chain).stat()
        assert (found.st_mode & 0o7777, found.st_uid) == (0o751, 3)


class TestCopySnapshotter(HostileLayersSuite):
    def make(self, root):
        return CopySnapshotter(root)

    def make_small(self, root):
        return CopySnapshotter(root, self.SMALL)

    def test_read_only_is_said_to_be_beyond_it(self, snapshots, chain):
        with pytest.raises(Unsupported):
            snapshots.mount("one", chain, read_only=True)
