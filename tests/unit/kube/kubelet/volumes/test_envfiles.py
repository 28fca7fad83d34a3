"""Variables in files of a pod's volumes."""

import asyncio
import os

import pytest

from coracle.kube.kubelet.environment import ConfigError
from coracle.kube.kubelet.volumes.envfiles import LARGEST_BYTES, parse, read
from coracle.kube.kubelet.volumes.service import Volume


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing\n\n   \n", {}),
        ("A='1'", {"A": "1"}),
        ("  A = '1'  \n# B='2'\nC.d-e='3'\n", {"A": "1", "C.d-e": "3"}),
        ("A='one\n# two\n\nthree'\nB='$A \\n'\n", {"A": "one\n# two\n\nthree", "B": "$A \\n"}),
        ("A=''\nA='last'", {"A": "last"}),
    ],
)
def test_parse(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [("A=1", 1), ('\nA="1"', 2), ("A='1''2'", 1), ("A='1'$B", 1), ("A='1", 1), ("# x\nexport A\n", 2), ("='1'", 1)],
)
def test_what_cannot_be_parsed_names_its_line(text, line):
    with pytest.raises(ValueError, match=f"invalid environment variable format at line {line}$"):
        parse(text)


def variable(path, volume="data"):
    return {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": volume, "path": path, "key": "A"}}}


def test_files_are_read_in_their_volume_only(tmp_path):
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    volume.mkdir()
    outside.write_text("A='outside'")
    (volume / "good").write_text("A='1'")
    os.symlink(outside, volume / "link")
    os.mkfifo(volume / "fifo")
    container = {"env": [variable(path) for path in ("good", "link", "fifo", "none")] + [{"name": "B", "value": "2"}]}
    found = asyncio.run(read(container, {"data": Volume(str(volume))}))
    assert {path: known for (_, path), known in found.items()} == {
        "good": {"A": "1"}, "link": None, "fifo": None, "none": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "volume", "said"),
    [
        (b"A=1", "data", 'couldn\'t parse env file "f": invalid environment variable format at line 1'),
        (b"\xff", "data", 'couldn\'t parse env file "f": .*utf-8'),
        (b"#" * (LARGEST_BYTES + 1), "data", f'couldn\'t read env file "f": larger than {LARGEST_BYTES} bytes'),
        (b"", "other", 'cannot find the volume "other" referenced by FileKeyRef'),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, volume, said):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        asyncio.run(read({"env": [variable("f", volume)]}, {"data": Volume(str(tmp_path))}))
