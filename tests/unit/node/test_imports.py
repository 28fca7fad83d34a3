"""What a daemon that has just started holds in memory: not the libraries that only some of its work needs."""

import subprocess
import sys

SELDOM = {"aiohttp", "cryptography"}


def test_what_is_seldom_needed_is_not_loaded_at_start():
    loaded = "import sys, coracle.node.assemble; print(*{name.partition('.')[0] for name in sys.modules})"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert SELDOM & set(said.split()) == set()
