"""Dockerfiles: as BuildKit's own parser reads them, and with mistakes told in its words."""

import contextlib

import dockerfile as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.core.errors import CloudError, Malformed
from coracle.image.dockerfile.lines import read_lines
from coracle.image.dockerfile.parse import parse_dockerfile
from coracle.image.dockerfile.syntax import parse_line

TEXTS = [
    "ENV a b c",
    'LABEL a=b c="d e" "x y"=z',
    "RUN echo \\\\\n",
    "RUN a \\ \n b",
    "HEALTHCHECK --interval=5s CMD foo bar",
    "RUN a \\\n#c\n\n b",
    "RUN a \\",
    'CMD ["a", "b"',
    'CMD [ "a" ] x',
    'CMD "a b" c',
    "  run   x   y  ",
    'ENV a=b\\ c d=\'x y\' e="a\\"b"',
    'COPY <<a <<"b" /x\nA\na\nB\nb',
    "EXPOSE 80   90",
    "VOLUME a b",
    'VOLUME ["a", "b"]',
    'ARG a=b c="d e"',
    "MAINTAINER x y",
    "USER a b",
    "# syntax=foo\nFROM x",
    "FROM x\n\n#c\nRUN a\\\n  b\\\n\tc   \nCMD x",
    "FROM --platform=linux/amd64 x AS y",
    "RUN --mount=type=cache,target=/x --network=none a b",
    "RUN a\\\\\nCMD b",
    "# escape=`\nRUN a `\n b\\\nCMD c",
    "CMD []",
    'SHELL ["a"]',
    'COPY --chown=a:b ["a","b c"] /x',
    "RUN echo 1 2<<A\nx\nA",
    "RUN cat <<EOF | sh\necho $x\nEOF\nCMD a",
    "STOPSIGNAL 9",
    "WORKDIR /a b",
    "ENTRYPOINT top -b",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_as_buildkit_reads_it(text):
    source = read_lines(text)
    ours = [(line, parse_line(line, source.escape)) for line in source.lines]
    for theirs, (line, found) in zip(oracle.parse_string(text), ours, strict=True):
        assert (found.name, found.line) == (theirs.cmd.upper(), theirs.start_line)
        assert found.args == theirs.value
        assert found.is_json == theirs.json
        assert [(one.name, one.content) for one in found.heredocs] == [(h.name, h.content) for h in theirs.heredocs]
        flags = [f"--{name}={value}" for name, values in found.flags.items() for value in values]
        assert flags == list(theirs.flags)
        assert line.text.strip() == theirs.original.split("\n")[0].strip()


@pytest.mark.parametrize("text", ["RUN <<EOF\nx\n", "ENV a", "ENV a=b c", "LABEL a"])
def test_what_buildkit_refuses_is_refused_in_its_words(text):
    with pytest.raises(oracle.GoParseError) as theirs:
        oracle.parse_string(text)
    with pytest.raises(Malformed) as ours:
        parse_dockerfile(b"FROM x\n" + text.encode())
    assert str(ours.value) == f"dockerfile parse error on line 2: {theirs.value}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FOO bar", "unknown instruction: FOO"),
        ("RNU x", "unknown instruction: RNU (did you mean RUN?)"),
        ("CPOY x", "unknown instruction: CPOY (did you mean COPY?)"),
        (
            "COPY x",
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("COPY --user=x a b", "unknown flag: --user"),
        ("COPY --chown a b", "missing a value on flag: --chown"),
        ("COPY --from=a --from=b a b", "duplicate flag specified: --from"),
        ("COPY --link=maybe a b", 'expecting boolean value for flag --link, not: "maybe"'),
        ("COPY a <<b\nb", "COPY cannot accept a heredoc as a destination"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1b", 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD FOO x", "unknown instruction: FOO"),
        ("HEALTHCHECK NOPE x", 'Unknown type "NOPE" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --interval=5x CMD a", 'time: unknown unit "x" in duration "5x"'),
        ("HEALTHCHECK --interval=1us CMD a", 'Interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"),
        ("SHELL bash", "SHELL requires the arguments to be in JSON form"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("RUN --network=moon x", 'unsupported network mode "moon"'),
    ],
)
def test_a_mistake_is_told_with_its_line(text, said):
    with pytest.raises(Malformed) as told:
        parse_dockerfile(b"FROM x\n\n" + text.encode())
    assert str(told.value) == f"dockerfile parse error on line 3: {said}"


def test_stages_and_arguments():
    found = parse_dockerfile(b"# syntax=docker/dockerfile:1\nARG v=1\nFROM a:$v AS One\nRUN x\nFROM one\nCMD y\n")
    assert [one.args for one in found.arguments] == [("v=1",)]
    assert [(stage.base, stage.name) for stage in found.stages] == [("a:$v", "one"), ("one", "")]
    assert [[one.name for one in stage.instructions] for stage in found.stages] == [["RUN"], ["CMD"]]
    assert found.directives == {"syntax": "docker/dockerfile:1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "the Dockerfile (Dockerfile) cannot be empty"),
        (b"# only a comment\n\n", "the Dockerfile (Dockerfile) cannot be empty"),
        (b"RUN x", "dockerfile parse error on line 1: no build stage in current context"),
        (b"ARG x", "no build stage in Dockerfile: it needs a FROM instruction"),
        (b"FROM x\0", "the Dockerfile (Dockerfile) holds NUL bytes"),
        (b"# escape=x\nFROM x", "dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\"),
        (
            b"# escape=`\n# escape=`\nFROM x",
            "dockerfile parse error on line 2: only one escape parser directive can be used",
        ),
        (b"FROM x\nRUN " + b"a" * (5 << 20), "the Dockerfile (Dockerfile) is larger than 4194304 bytes"),
    ],
)
def test_what_is_no_dockerfile(text, said):
    with pytest.raises(CloudError) as told:
        parse_dockerfile(text)
    assert str(told.value) == said


def test_heredocs_with_a_dash_lose_their_tabs_and_quoted_ones_keep_their_variables():
    found = parse_dockerfile(b'FROM x\nCOPY <<-A <<"B" /d\n\ta\n\tA\n$b\nB\n').stages[0].instructions[0]
    assert [(one.name, one.content, one.expand) for one in found.heredocs] == [("A", "a\n", True), ("B", "$b\n", False)]


def test_an_onbuild_keeps_its_heredoc():
    found = parse_dockerfile(b"FROM x\nONBUILD RUN <<E sh\necho hi\nE\n").stages[0].instructions[0]
    assert found.args == ("RUN <<E sh\necho hi\nE\n",)


def test_a_long_line_is_read_in_no_time():
    found = parse_dockerfile(b"FROM x\nRUN " + b"\\ " * (1 << 20))
    assert len(found.stages[0].instructions) == 1


PIECES = [
    *("FROM a", "RUN x", "COPY a b", "ENV a=b", "ENV a b", "ARG x", "LABEL a='b c'", "ONBUILD RUN y", "CMD [", "# c"),
    *(
        "HEALTHCHECK CMD x",
        "EXPOSE 80",
        "\\",
        "`",
        "\n",
        " ",
        "\t",
        '"',
        "'",
        "$",
        "${",
        "}",
        ":-",
        "<<E",
        "E",
        "--f=",
        "]",
    ),
    *("#", "escape=`", "ä", "\udcff", "\r", "=", "\x0b"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(CloudError):
        assert parse_dockerfile(text.encode("utf-8", "surrogateescape")).stages
