"""Directories that outlive containers and pods."""

import asyncio
import stat
from pathlib import Path

import pytest

from coracle.core.errors import Invalid
from coracle.engine.persistent import PersistentDirectories


def test_a_directory_is_everybodys_stays_and_goes_whole(tmp_path):
    async def main():
        directories = PersistentDirectories(tmp_path / "persistent")
        assert await directories.empty() == []
        path = Path(await directories.make("a"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o777  # noqa: ASYNC240
        (path / "file").write_text("kept")
        assert await directories.make("a") == str(path)
        assert (path / "file").read_text() == "kept"
        await directories.make("b")
        assert await directories.empty() == ["b"]
        for _ in range(2):
            await directories.remove("a")
        assert not path.exists()  # noqa: ASYNC240

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0"])
def test_names_lead_nowhere_else(tmp_path, name):
    with pytest.raises(Invalid):
        asyncio.run(PersistentDirectories(tmp_path).remove(name))
