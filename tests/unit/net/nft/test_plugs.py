import errno
from ipaddress import IPv4Address, IPv4Network

import pytest

from coracle.core.errors import Broken, Exhausted
from coracle.linux.netlink import Refused
from coracle.net.api import Network, Port
from coracle.net.nft.plugs import _worded

NETWORK = Network("shop", "cor1shop", IPv4Network("10.5.0.0/24"), IPv4Address("10.5.0.1"))
PORT = Port("web/shop", "shop", IPv4Address("10.5.0.2"), "/run/x", "02:42:0a:05:00:02")


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (errno.EXFULL, Exhausted, "network shop is full: its bridge cor1shop has 1023 plugs"),
        (errno.ENFILE, Exhausted, "no link left for web/shop"),
        (errno.EINVAL, Broken, r"cannot plug web/shop: .*bad words.* \(message 2\)"),
    ],
)
def test_what_the_kernel_refuses_is_worded(code, error, said):
    with pytest.raises(error, match=said):
        raise _worded(Refused(code, "bad words", 2), NETWORK, PORT)
