"""What every Snapshotter must do: `SnapshotterSuite`; and what the real ones must survive: `HostileLayersSuite`."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from dataclasses import replace

import pytest
from backports import zstd

from coracle.core.errors import CloudError, Invalid, Malformed, NotFound, TooLarge
from coracle.image.digests import digest_of
from coracle.image.snapshots.api import Change, Limits
from suites.layers import entry, folder, hardlink, stack, symlink, tar_of

BASE = tar_of(
    folder("etc"),
    entry("etc/passwd", b"root:x:0:0\n"),
    entry("etc/old", b"old"),
    folder("data"),
    entry("data/a", b"a"),
    entry("data/b", b"b"),
    folder("tmp", 0o1777),
    entry("bin", b"#!", mode=0o755),
)
NEXT = tar_of(
    entry("etc/passwd", b"changed\n"),
    entry("etc/.wh.old"),
    folder("data"),
    entry("data/.wh..wh..opq"),
    entry("data/c", b"c"),
    symlink("link", "/etc/passwd"),
    hardlink("same", "data/c"),
)


def tree(root):
    """Relative path -> content of files, link target, or None for directories."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found[name] = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


class SnapshotterSuite:
    def make(self, root):
        """A Snapshotter over the directory `root`; called again with the same one, it goes on where that ended."""
        raise NotImplementedError

    @pytest.fixture
    def snapshots(self, tmp_path):
        made = self.make(tmp_path / "snapshots")
        yield made
        for id in made.list():
            made.remove(id)

    @pytest.fixture
    def chain(self, snapshots, tmp_path):
        """The chain of BASE and NEXT, unpacked."""
        return self.unpack(snapshots, tmp_path, BASE, NEXT)

    def unpack(self, snapshots, tmp_path, *tars, **how):
        layers = stack(tmp_path / "blobs", *tars, **how)
        for layer in layers:
            snapshots.unpack(layer)
        return layers[-1].chain

    def test_a_snapshot_shows_its_layers_on_top_of_each_other(self, snapshots, chain):
        assert tree(snapshots.mount("one", chain)) == {
            "bin": b"#!",
            "data": None,
            "data/c": b"c",
            "etc": None,
            "etc/passwd": b"changed\n",
            "link": "/etc/passwd",
            "same": b"c",
            "tmp": None,
        }

    def test_modes_are_kept(self, snapshots, chain):
        root = snapshots.mount("one", chain)
        assert [stat.S_IMODE((root / name).stat().st_mode) for name in ("bin", "tmp")] == [0o755, 0o1777]

    @pytest.mark.parametrize(
        ("packed", "compression"),
        [
            pytest.param(lambda tar: tar, "", id="plain"),
            pytest.param(gzip.compress, "gzip", id="gzip"),
            pytest.param(
                lambda tar: gzip.compress(tar[:512]) + gzip.compress(tar[512:]), "gzip", id="gzip in two members"
            ),
            pytest.param(zstd.compress, "zstd", id="zstd"),
        ],
    )
    def test_layers_may_be_packed(self, snapshots, tmp_path, packed, compression):
        chain = self.unpack(snapshots, tmp_path, BASE, packed=packed, compression=compression)
        assert tree(snapshots.mount("one", chain))["etc/old"] == b"old"

    def test_snapshots_do_not_see_each_other(self, snapshots, chain):
        one, two = snapshots.mount("one", chain), snapshots.mount("two", chain)
        (one / "etc/passwd").write_text("mine")
        (one / "new").write_text("new")
        assert (two / "etc/passwd").read_text() == "changed\n"
        assert not (two / "new").exists()
        assert snapshots.list() == ("one", "two")

    def test_a_snapshot_without_layers_is_empty(self, snapshots):
        root = snapshots.mount("one", ())
        assert tree(root) == {}
        (root / "new").write_text("new")

    def test_mounting_again_keeps_the_changes(self, snapshots, chain, tmp_path):
        root = snapshots.mount("one", chain)
        (root / "new").write_text("new")
        assert snapshots.mount("one", chain) == root
        snapshots.unmount("one")
        snapshots.unmount("one")
        later = self.make(tmp_path / "snapshots")
        assert later.list() == ("one",)
        assert (later.mount("one", ()) / "new").read_text() == "new"
        assert (later.mount("one", ()) / "etc/passwd").read_text() == "changed\n"

    def test_a_removed_snapshot_leaves_nothing(self, snapshots, chain):
        (snapshots.mount("one", chain) / "new").write_text("new")
        snapshots.remove("one")
        snapshots.remove("one")
        assert snapshots.list() == ()
        assert "new" not in tree(snapshots.mount("one", chain))

    def test_changes_are_told(self, snapshots, chain):
        root = snapshots.mount("one", chain)
        (root / "etc/passwd").write_text("mine, longer")
        (root / "data/c").unlink()
        (root / "new").mkdir()
        (root / "new/file").write_text("new")
        told = {change for change in snapshots.changes("one") if change.path not in ("/etc", "/data")}
        assert told == {
            Change("modified", "/etc/passwd"),
            Change("deleted", "/data/c"),
            Change("added", "/new"),
            Change("added", "/new/file"),
        }

    def test_usage_grows_with_what_is_written(self, snapshots, chain):
        root = snapshots.mount("one", chain)
        before = snapshots.usage_bytes("one")
        (root / "big").write_bytes(os.urandom(1 << 20))
        with (root / "big").open("rb") as file:
            os.fsync(file.fileno())
        assert 1 << 20 <= snapshots.usage_bytes("one") - before < 1 << 21

    def test_unused_layers_are_collected(self, snapshots, chain):
        assert snapshots.collect(chain) == 0
        assert snapshots.collect(chain[:1]) == 1
        assert [snapshots.has_layer(one) for one in chain] == [True, False]

    def test_layers_below_a_snapshot_stay(self, snapshots, chain):
        root = snapshots.mount("one", chain)
        assert snapshots.collect(()) == 0
        assert (root / "bin").read_bytes() == b"#!"
        snapshots.remove("one")
        assert snapshots.collect(()) == 2

    def test_unpacking_twice_is_harmless(self, snapshots, chain, tmp_path):
        assert self.unpack(snapshots, tmp_path, BASE, NEXT) == chain

    def test_a_missing_layer_is_named(self, snapshots, chain):
        missing = digest_of(b"missing")
        with pytest.raises(NotFound):
            snapshots.mount("one", (*chain, missing))
        assert snapshots.list() == ()

    def test_a_layer_needs_those_below(self, snapshots, tmp_path):
        with pytest.raises(NotFound):
            snapshots.unpack(stack(tmp_path / "blobs", BASE, NEXT)[1])

    def test_a_missing_blob_is_named(self, snapshots, tmp_path):
        layer = stack(tmp_path / "blobs", BASE)[0]
        layer.blob.unlink()
        with pytest.raises(NotFound):
            snapshots.unpack(layer)

    def test_a_damaged_layer_is_refused_and_leaves_nothing(self, snapshots, tmp_path):
        layer = stack(tmp_path / "blobs", BASE)[0]
        packed = layer.blob.read_bytes()
        for damaged in (packed[: len(packed) // 2], b"", b"nonsense" * 100, gzip.compress(NEXT)):
            layer.blob.write_bytes(damaged)
            with pytest.raises(Invalid):
                snapshots.unpack(layer)
        assert not snapshots.has_layer(layer.chain[-1])
        layer.blob.write_bytes(packed)
        snapshots.unpack(layer)

    @pytest.mark.parametrize("id", ["", ".", "..", "a/b", "../x", "-x", "a\n", "x" * 300])
    def test_ids_that_are_no_names_are_refused(self, snapshots, id):
        for call in (lambda: snapshots.mount(id, ()), lambda: snapshots.remove(id), lambda: snapshots.unmount(id)):
            with pytest.raises(Malformed):
                call()

    def test_asking_about_nothing_is_told(self, snapshots):
        with pytest.raises(NotFound):
            snapshots.usage_bytes("one")
        with pytest.raises(NotFound):
            list(snapshots.changes("one"))


DEVICE_ZERO = {"kind": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}


class HostileLayersSuite(SnapshotterSuite):
    """For drivers that take layers from strangers."""

    def make_small(self, root):
        """The same with small limits: 1 MB free, ratio 10, 100 entries."""
        raise NotImplementedError

    SMALL = Limits(max_bytes=8 << 20, max_entries=100, max_ratio=10, free_bytes=1 << 20)

    def view(self, snapshots, tmp_path, *tars):
        return snapshots.mount("one", self.unpack(snapshots, tmp_path, *tars))

    @pytest.mark.parametrize(
        "members",
        [
            pytest.param([entry("../evil", b"x")], id="a name that leads out"),
            pytest.param([entry("a/../../evil", b"x")], id="a name that leads out later"),
            pytest.param([hardlink("shadow", "../../../etc/shadow")], id="a hard link that leads out"),
            pytest.param([hardlink("shadow", "/etc/shadow")], id="a hard link to what only the host has"),
            pytest.param([symlink("l", "/etc"), hardlink("x", "l/shadow")], id="a hard link through a link"),
            pytest.param([entry(".wh.")], id="a whiteout of nothing"),
            pytest.param([entry(".wh..")], id="a whiteout of itself"),
            pytest.param([entry("a/.wh...")], id="a whiteout of the parent"),
            pytest.param(
                [folder("d", pax_headers={"SCHILY.xattr.trusted.overlay.opaque": "y"})], id="a forged opaque mark"
            ),
            pytest.param(
                [entry("f", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/etc"})], id="a forged redirect"
            ),
            pytest.param([entry("f", pax_headers={"SCHILY.xattr.user.overlay.opaque": "y"})], id="a forged user mark"),
            pytest.param([entry("f", b"x"), entry("f/g", b"x")], id="a file as a directory"),
            pytest.param([entry("n" * 300, b"x")], id="too long a name"),
            pytest.param([entry("/".join(["d"] * 3000), b"x")], id="too long a path"),
            pytest.param([entry("f", uid=-1)], id="a negative user"),
            pytest.param([entry("f", pax_headers={"mtime": "nan"})], id="no time"),
            pytest.param([entry("f", pax_headers={"size": "-5"})], id="a negative size"),
            pytest.param([symlink("loop", "loop"), entry("loop/x", b"x")], id="through a loop"),
            pytest.param([symlink("", "/")], id="a link as the root"),
        ],
    )
    def test_is_refused_and_leaves_nothing(self, snapshots, tmp_path, members):
        layer = stack(tmp_path / "blobs", tar_of(*members))[0]
        with pytest.raises(Invalid):
            snapshots.unpack(layer)
        assert not snapshots.has_layer(layer.chain[-1])
        assert os.listdir(tmp_path / "snapshots/tmp") == []

    def test_links_to_outside_stay_inside(self, snapshots, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        deep = "../" * 30 + str(outside)
        root = self.view(
            snapshots,
            tmp_path,
            tar_of(
                folder(str(outside)[1:]),
                symlink("absolute", str(outside)),
                entry("absolute/one", b"1"),
                symlink("relative", deep),
                entry("relative/two", b"2"),
            ),
        )
        assert os.listdir(outside) == []
        assert sorted(os.listdir(root / str(outside)[1:])) == ["one", "two"]

    def test_names_are_taken_from_the_root(self, snapshots, tmp_path):
        root = self.view(snapshots, tmp_path, tar_of(entry("/etc/x", b"1"), entry("./a//b/../c", b"2"), folder("./")))
        assert tree(root) == {"a": None, "a/c": b"2", "etc": None, "etc/x": b"1"}

    def test_an_entry_replaces_an_earlier_one_of_another_kind(self, snapshots, tmp_path):
        root = self.view(
            snapshots,
            tmp_path,
            tar_of(
                entry("x", b"file"), folder("x"), entry("x/in", b"1"), symlink("x", "y"), folder("y"),
                entry("x/through", b"2"), folder("x"), entry("x/own", b"3"),
            ),
        )  # fmt: skip
        assert tree(root) == {"x": None, "x/own": b"3", "y": None, "y/through": b"2"}

    def test_special_files_and_attributes_are_made(self, snapshots, tmp_path):
        capability = bytes.fromhex("0100000200040000000000000000000000000000").decode("utf-8", "surrogateescape")
        root = self.view(
            snapshots,
            tmp_path,
            tar_of(
                folder("dev", uid=5, gid=6, mtime=1000),
                entry("dev/zero", mode=0o666, **DEVICE_ZERO),
                entry("dev/fifo", kind=tarfile.FIFOTYPE),
                entry("ping", b"x", mode=0o4755, uid=7, pax_headers={"SCHILY.xattr.security.capability": capability}),
                entry("old", b"x", mtime=-5),
                hardlink("pong", "ping"),
                symlink("l", "nowhere"),
                hardlink("m", "l"),
            ),
        )
        zero, ping = (root / "dev/zero").stat(), (root / "ping").stat()
        assert (stat.S_ISCHR(zero.st_mode), zero.st_rdev) == (True, os.makedev(1, 5))
        assert stat.S_ISFIFO((root / "dev/fifo").stat().st_mode)
        assert (stat.S_IMODE(ping.st_mode), ping.st_uid, ping.st_ino) == (0o4755, 7, (root / "pong").stat().st_ino)
        assert os.getxattr(root / "ping", "security.capability").hex() == "0100000200040000000000000000000000000000"
        assert ((root / "dev").stat().st_uid, (root / "dev").stat().st_mtime) == (5, 1000)
        assert (root / "old").stat().st_mtime == 0
        assert str((root / "m").readlink()) == "nowhere"

    def test_implied_directories_look_as_below(self, snapshots, tmp_path):
        below = tar_of(folder("./", 0o711), folder("srv", 0o700, uid=33), folder("srv/www", 0o2750, gid=44))
        root = self.view(snapshots, tmp_path, below, tar_of(entry("srv/www/index", b"x")))
        assert stat.S_IMODE(root.stat().st_mode) == 0o711
        assert (stat.S_IMODE((root / "srv").stat().st_mode), (root / "srv").stat().st_uid) == (0o700, 33)
        assert (stat.S_IMODE((root / "srv/www").stat().st_mode), (root / "srv/www").stat().st_gid) == (0o2750, 44)

    def test_a_hard_link_to_a_lower_layer_becomes_a_copy(self, snapshots, tmp_path):
        root = self.view(snapshots, tmp_path, BASE, tar_of(hardlink("copy", "etc/old")))
        assert (root / "copy").read_bytes() == b"old"

    def test_a_whiteout_spares_its_own_layer(self, snapshots, tmp_path):
        root = self.view(
            snapshots,
            tmp_path,
            BASE,
            tar_of(
                entry("data/new", b"1"), entry(".wh.data"), entry("etc/.wh.old"), entry("etc/old", b"2"),
                entry(".wh.tmp"), entry("tmp/new", b"3"), entry(".wh..wh.plnk"), entry(".wh.nothing"),
            ),
        )  # fmt: skip
        assert tree(root) == {
            "bin": b"#!", "data": None, "data/new": b"1", "etc": None, "etc/old": b"2", "etc/passwd": b"root:x:0:0\n",
            "tmp": None, "tmp/new": b"3",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "tar",
        [
            pytest.param(tar_of(entry("zeros", bytes(4 << 20))), id="a bomb"),
            pytest.param(tar_of(entry("f")) + bytes(4 << 20), id="a bomb after the end"),
            pytest.param(tar_of(*(entry(f"f{at}") for at in range(101))), id="too many entries"),
            pytest.param(
                tar_of(entry("s", b"1\n0\n1\n".ljust(512, b"\0") + b"x", pax_headers={
                    "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40),
                    "GNU.sparse.name": "s"})),
                id="a file that is mostly hole",
            ),
        ],
    )  # fmt: skip
    def test_what_grows_too_large_is_stopped(self, tmp_path, tar):
        snapshots = self.make_small(tmp_path / "snapshots")
        layer = stack(tmp_path / "blobs", tar)[0]
        with pytest.raises(TooLarge):
            snapshots.unpack(layer)
        assert os.listdir(tmp_path / "snapshots/tmp") == []

    def test_a_header_as_large_as_memory_is_refused(self, snapshots, tmp_path):
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
        tar = info.tobuf(tarfile.GNU_FORMAT) + b"x" * 10240
        with pytest.raises(Invalid, match="claims a size"):
            snapshots.unpack(stack(tmp_path / "blobs", tar)[0])

    def test_a_zstd_window_larger_than_memory_is_refused(self, snapshots, tmp_path):
        frame = bytes.fromhex("28b52ffd") + bytes([0x00, 0xFF]) + bytes([0x01, 0x00, 0x00])
        layer = stack(tmp_path / "blobs", BASE, packed=lambda tar: frame, compression="zstd")[0]
        with pytest.raises((Invalid, TooLarge)):
            snapshots.unpack(layer)

    def test_nothing_inside_is_run_or_imported(self, snapshots, tmp_path):
        """A layer that brings its own Python modules and NSS libraries meets a process that looks for neither."""
        trap = b"import os; os.mknod('/trapped')\n"
        names = ["usr/lib/python3/pwd.py", "usr/lib/python3.11/encodings/idna.py", "lib/libnss_files.so.2"]
        owned = [entry(name, trap, mode=0o755, uname="nobody", gname="nogroup") for name in names]
        root = self.view(snapshots, tmp_path, tar_of(*owned, entry("etc/nsswitch.conf", b"passwd: files\n")))
        assert not (root / "trapped").exists()

    def test_sweeping_removes_what_was_half_made(self, tmp_path):
        snapshots = self.make(tmp_path / "snapshots")
        (tmp_path / "snapshots/tmp/layer-1/fs").mkdir(parents=True)
        snapshots.sweep()
        assert os.listdir(tmp_path / "snapshots/tmp") == []

    def test_others_may_not_look_in(self, snapshots, tmp_path):
        assert stat.S_IMODE((tmp_path / "snapshots").stat().st_mode) == 0o700

    def test_every_error_is_one_that_an_edge_can_word(self, snapshots, tmp_path):
        layer = stack(tmp_path / "blobs", BASE)[0]
        for cut in range(0, len(gzip.compress(BASE)), 7):
            layer.blob.write_bytes(gzip.compress(BASE)[:cut])
            with pytest.raises(CloudError):
                snapshots.unpack(replace(layer))
