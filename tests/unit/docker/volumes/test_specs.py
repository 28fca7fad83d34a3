import pytest

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.docker.mounts import Prepared, resolve
from coracle.docker.volumes.points import MountPoint, borrowed, runtime_mount
from coracle.docker.volumes.specs import is_mode, parse_bind, parse_mount, parse_tmpfs, parse_volumes_from


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/srv", {"type": "volume", "target": "/srv", "anonymous": True, "name": "", "copies": True}),
        ("data:/srv", {"type": "volume", "name": "data", "mode": "z", "read_only": False, "copies": True}),
        ("data:/srv:ro,nocopy", {"name": "data", "mode": "ro,nocopy", "read_only": True, "copies": False}),
        ("/a/../b/:/srv/", {"type": "bind", "source": "/b", "target": "/srv", "propagation": "rprivate"}),
        ("/a:/srv:ro,Z,rshared", {"read_only": True, "propagation": "rshared", "make_source": True}),
        ("//a:/srv:cached", {"source": "/a", "mode": "cached"}),
    ],
)
def test_binds_are_read(raw, expected):
    point = parse_bind(raw)
    assert {name: getattr(point, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("", "invalid volume specification: ''"),
        (":/x", "invalid volume specification: ':/x'"),
        ("/x:ro", "invalid volume specification: '/x:ro'"),
        ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
        ("/x:/y:rw,ro", "invalid mode: rw,ro"),
        ("/x:/y:z,Z", "invalid mode: z,Z"),
        ("/x:y", "invalid mount path: 'y' mount path must be absolute"),
        ("/x:/..", "destination can't be '/'"),
        ("x:/y:rshared", "field BindOptions must not be specified"),
        ("/x:/y\0z", "invalid mount path"),
    ],
)
def test_bad_binds_are_refused(raw, said):
    with pytest.raises(Malformed) as caught:
        parse_bind(raw)
    assert said in str(caught.value)


def mount(**values):
    return parse_mount(Fields(values, "Mounts[0]"))


def test_mounts_are_read():
    bind = mount(Type="bind", Source="/a", Target="/b", ReadOnly=True, BindOptions={"NonRecursive": True})
    assert (bind.read_only, bind.recursive, bind.make_source) == (True, False, False)
    made = mount(Type="bind", Source="/a", Target="/b", BindOptions={"CreateMountpoint": True})
    assert made.make_source
    driver = {"Name": "local", "Options": {"type": "tmpfs"}}
    options = {"NoCopy": True, "Labels": {"a": "b"}, "DriverConfig": driver, "Subpath": "x/y"}
    volume = mount(Type="volume", Source="data", Target="/b", VolumeOptions=options)
    assert (volume.copies, volume.labels, volume.volume_options) == (False, {"a": "b"}, {"type": "tmpfs"})
    assert volume.subpath == "x/y"
    tmpfs = mount(Type="tmpfs", Target="/t", TmpfsOptions={"SizeBytes": 4096, "Mode": 0o1777, "Options": [["exec"]]})
    assert tmpfs.options == ("nosuid", "nodev", "mode=1777", "size=4096", "exec")
    assert mount(Type="image", Source="busybox", Target="/i").source == "busybox"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"Type": "bind", "Source": "/a"}, 'for type "bind": field Target must not be empty'),
        ({"Type": "bind", "Target": "/a"}, 'for type "bind": field Source must not be empty'),
        ({"Type": "bind", "Source": "a", "Target": "/a"}, "mount path must be absolute"),
        (
            {"Type": "bind", "Source": "/a", "Target": "/a", "BindOptions": {"Propagation": "x"}},
            "invalid propagation mode: x",
        ),
        ({"Type": "bind", "Source": "/a", "Target": "/a", "VolumeOptions": {}}, "field VolumeOptions must not be"),
        ({"Type": "volume", "Target": "/a", "BindOptions": {}}, "field BindOptions must not be specified"),
        ({"Type": "volume", "Target": "/a", "ReadOnly": True}, "must not set ReadOnly mode when using anonymous"),
        ({"Type": "volume", "Target": "/a", "VolumeOptions": {"Subpath": "x"}}, "must not set Subpath when using"),
        ({"Type": "volume", "Source": "v", "Target": "/a", "VolumeOptions": {"Subpath": "/x"}}, "relative path"),
        ({"Type": "volume", "Source": "v", "Target": "/a", "VolumeOptions": {"Subpath": "x/../.."}}, "relative path"),
        ({"Type": "tmpfs", "Source": "x", "Target": "/a"}, "field Source must not be specified"),
        ({"Type": "tmpfs", "Target": "/a", "TmpfsOptions": {"Options": [["suid"]]}}, "invalid option: suid"),
        ({"Type": "tmpfs", "Target": "/a", "TmpfsOptions": {"Options": ["exec"]}}, "invalid option array length"),
        ({"Type": "image", "Target": "/a"}, "field Source must not be empty"),
        ({"Type": "cluster", "Target": "/a"}, "mount type unknown"),
        ({"Type": 7, "Target": "/a"}, "Mounts[0].Type must be a string"),
    ],
)
def test_bad_mounts_are_refused(values, said):
    with pytest.raises(Malformed) as caught:
        mount(**values)
    assert said in str(caught.value)


def test_tmpfs_options_replace_the_default_ones():
    assert parse_tmpfs("/t", "").options == ("noexec", "nosuid", "nodev")
    assert parse_tmpfs("/t/", "exec,size=1m").options == ("nosuid", "nodev", "exec", "size=1m")
    for target, options in (("/", ""), ("t", ""), ("/t", "nope"), ("/t", "size"), ("/t", "ro=1")):
        with pytest.raises(Malformed):
            parse_tmpfs(target, options)


def test_volumes_from():
    assert parse_volumes_from("web") == ("web", "rw")
    assert parse_volumes_from("web:ro,z") == ("web", "ro,z")
    for text in ("", "web:nope", "web:rshared", "web:nocopy"):
        with pytest.raises(Malformed):
            parse_volumes_from(text)


def test_modes():
    assert all(is_mode(text) for text in ("", "ro", "rw,z", "ro,Z,rslave,nocopy,cached"))
    assert not any(is_mode(text) for text in ("/x", "ro,ro", "ro,", "private,shared"))


def nobody(name):
    raise AssertionError(name)


def test_the_latter_request_wins_over_what_is_borrowed_and_the_image_has_the_last_place():
    lent = (MountPoint(type="volume", target="/a", name="lent"), MountPoint(type="bind", target="/b", source="/x"))
    host = Fields({"VolumesFrom": ["other:ro"], "Binds": ["own:/a"], "Tmpfs": {"/t": ""}})
    points = {point.target: point for point in resolve(host, ["/b", "/c/", "/t"], lambda name: lent)}
    assert (points["/a"].name, points["/b"].source, points["/b"].read_only) == ("own", "/x", True)
    assert points["/c"].anonymous
    assert points["/t"].type == "tmpfs"


@pytest.mark.parametrize(
    "host",
    [
        {"Binds": ["a1:/x", "b1:/x/"]},
        {"Binds": ["a1:/x"], "Tmpfs": {"/x": ""}},
        {"Binds": ["a1:/x"], "Mounts": [{"Type": "tmpfs", "Target": "/x"}]},
    ],
)
def test_a_place_is_taken_once(host):
    with pytest.raises(Malformed, match="Duplicate mount point: /x"):
        resolve(Fields(host), [], nobody)


@pytest.mark.parametrize("target", ["x", "/", "/..", ""])
def test_an_images_volume_has_to_be_a_place(target):
    with pytest.raises(Malformed, match="invalid volume specification"):
        resolve(Fields({}), [target], nobody)


def test_what_the_runtime_mounts():
    bind = MountPoint(type="bind", target="/b", source="/x", read_only=True, propagation="rslave", recursive=False)
    found = runtime_mount(bind)
    assert (found.source, found.options, found.read_only) == ("/x", ("bind", "rslave"), True)
    part = MountPoint(type="volume", target="/v", name="v", source="/volumes/v", via="/views/1")
    assert runtime_mount(part).source == "/views/1"
    assert Prepared(points=(part, bind)).volumes == ("v",)


def test_only_volumes_and_binds_are_lent():
    points = [MountPoint(type="tmpfs", target="/t"), MountPoint(type="volume", target="/v", name="v", anonymous=True)]
    [found] = borrowed(points, "rw")
    assert (found.name, found.anonymous, found.read_only) == ("v", False, False)
