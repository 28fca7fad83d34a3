"""`.env` files, by table."""

import pytest

from coracle.compose.environment import parse
from coracle.core.errors import Malformed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nexport B=2\n\n# c\n  C = 3  \n", {"A": "1", "B": "2", "C": "3"}),
        ("A=a # comment\nB=a#b\nC=# all\nD=", {"A": "a", "B": "a#b", "C": "", "D": ""}),
        ("A='$X \\n' # c\nB=\"l1\nl2\"\nC=z", {"A": "$X \\n", "B": "l1\nl2", "C": "z"}),
        ('A="q\\"q\\n\\$X"', {"A": 'q"q\n$X'}),
        ("A=1\nB=$A-${X}-${NO:-d}\nC='$A'", {"A": "1", "B": "1-x-d", "C": "$A"}),
        ("X=mine\nY=$X", {"X": "mine", "Y": "x"}),
        ("X\nNOPE\nA: yaml\r\n", {"X": "x", "A": "yaml"}),
        ("\ufeffA=1", {"A": "1"}),
        ("", {}),
    ],
)
def test_parsing(text, expected):
    assert parse(text, ".env", {"X": "x"}) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nB C=2", r"\.env:2: .*line 2: key cannot contain a space"),
        ('\nA="1\n', r"\.env:2: .*unterminated quoted value \"1"),
        ("1+=3", r'unexpected character "\+" in variable name "1\+=3"'),
        ("A=${B?gone}", r"\.env:1: .*required variable B is missing a value: gone"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(Malformed, match=message):
        parse(text, ".env", {})
