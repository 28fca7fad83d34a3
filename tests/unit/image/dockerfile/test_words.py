"""Words and variables of Dockerfiles."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.core.errors import Malformed
from coracle.image.dockerfile.globs import Glob
from coracle.image.dockerfile.words import Lexer

VALUES = {"x": "one", "e": "", "path": "/a/b.tar.gz", "s": "a b"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("$x", "one"),
        ("${x}y", "oney"),
        ("$none", ""),
        ("$", "$"),
        ("$x$x", "oneone"),
        ("\\$x", "$x"),
        ("'$x'", "$x"),
        ('"$x y"', "one y"),
        ('"\\$x \\" \\y"', '$x " \\y'),
        ("a\\ b", "a b"),
        ("${none:-d}", "d"),
        ("${none-d}", "d"),
        ("${e:-d}", "d"),
        ("${e-d}", ""),
        ("${x:+d}", "d"),
        ("${e:+d}", ""),
        ("${e+d}", "d"),
        ("${none:-${x}}", "one"),
        ("${none:-'}'}", "}"),
        ("${x:?no}", "one"),
        ("${path#*.}", "tar.gz"),
        ("${path##*.}", "gz"),
        ("${path%.*}", "/a/b.tar"),
        ("${path%%.*}", "/a/b"),
        ("${path%/*}", "/a"),
        ("${path##*/}", "b.tar.gz"),
        ("${x#z}", "one"),
        ("${path/./-}", "/a/b-tar.gz"),
        ("${path//./-}", "/a/b-tar-gz"),
        ("${path//\\//_}", "_a_b.tar.gz"),
        ("${x/n/}", "oe"),
    ],
)
def test_a_word(text, word):
    assert Lexer().word(text, VALUES) == word


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${x", "unsupported modifier () in substitution"),
        ("${", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${x:-a", "syntax error: missing '}'"),
        ("${x!y}", "unsupported modifier (!) in substitution"),
        ("${none:?say so}", "none: say so"),
        ("${none?}", "none: is not allowed to be unset"),
        ("${e:?}", "e: is not allowed to be empty"),
        ("'a", "unexpected end of statement while looking for matching single-quote"),
        ("${x/y", "syntax error: missing '/' in ${}"),
        ("${a:-" * 200, "syntax error: substitutions are nested too deeply"),
    ],
)
def test_a_mistake(text, why):
    with pytest.raises(Malformed) as told:
        Lexer().word(text, VALUES)
    assert str(told.value).startswith('failed to process "')
    assert str(told.value).endswith(f'": {why}')


def test_words_are_parted_at_spaces_outside_of_quotes_and_in_values():
    assert Lexer().words("a '$s' \"$s\" $s b\\ c", VALUES) == ["a", "$s", "a b", "a", "b", "b c"]


def test_the_other_escape():
    assert Lexer("`").word("C:\\a`$x", VALUES) == "C:\\a$x"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.c", "a.c", True),
        ("*.c", "d/a.c", False),
        ("d/*", "d/a", True),
        ("[a-c]?", "bz", True),
        ("[^a-c]?", "bz", False),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("*a*a*a*a*a*a*a*a*a*b", "a" * 5000, False),
    ],
)
def test_path_patterns(pattern, path, fits):
    assert Glob.path(pattern).matches(path) is fits


@pytest.mark.parametrize("pattern", ["[", "[]", "[a-", "a\\"])
def test_patterns_that_are_none(pattern):
    with pytest.raises(Malformed, match="syntax error in pattern"):
        Glob.path(pattern)


@given(st.text("$ {}:-+?#%/*?\\\"'xa1 ", max_size=40))
def test_any_word_is_read_or_refused(text):
    with contextlib.suppress(Malformed):
        assert isinstance(Lexer().word(text, VALUES), str)
