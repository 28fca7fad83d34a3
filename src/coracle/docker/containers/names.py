"""Names of containers: what they may be, and one for those who have none."""

from __future__ import annotations

import random
import re

from coracle.core.errors import Malformed

MAX_NAME = 250
_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")

_MOODS = """
    able airy alert ample apt awake balmy bold brave breezy brisk calm candid clear clever cosy crisp dapper deft eager
    early easy even fair fleet fond frank free fresh gentle glad grand handy hardy hearty jolly keen kind lively loyal
    lucky mellow merry mild modest neat nimble noble patient placid plain proud quick quiet ready robust round sage
    serene sharp snug sober spry steady sunny sure swift tidy trim trusty upbeat vivid warm wise witty young
"""
_SURNAMES = """
    abel ampere archer babbage bayes bernoulli boole bose brahe braille byron carson cauchy cerf codd cori curie
    dijkstra dirac euclid euler faraday fermat fermi floyd fourier galileo gauss germain goedel hamilton hawking hertz
    hilbert hoare hopper huygens hypatia jacobi johnson joule kepler knuth kolmogorov lamarr lamport laplace leibniz
    liskov lovelace maxwell meitner mendel naur newton noether nyquist ohm pascal perlman planck poisson ramanujan
    ritchie rubin shannon sinclair tesla thompson torvalds turing volta wiles wirth wren yalow zuse
"""


def check_name(name: str) -> str:
    """The name without its slash.  Raises Malformed."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise Malformed(f"Invalid container name ({name[:300]}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.removeprefix("/")


def random_name(attempt: int = 0) -> str:
    """ "brave_hopper"; from the second attempt on with a digit behind."""
    name = f"{random.choice(_MOODS.split())}_{random.choice(_SURNAMES.split())}"  # noqa: S311 - a name, not a secret
    return name if attempt == 0 else f"{name}{random.randrange(10 ** min(attempt, 6))}"  # noqa: S311
