import pytest

from coracle.docker.unstartable import unstartable


@pytest.mark.parametrize(
    ("program", "said", "code", "words"),
    [
        (
            "nope",
            "executable file `nope` not found in $PATH: No such file or directory",
            127,
            'exec: "nope": executable file not found in $PATH: unknown',
        ),
        (
            "/no/where",
            "open executable: No such file or directory",
            127,
            'exec: "/no/where": stat /no/where: no such file or directory: unknown',
        ),
        (
            "/etc/passwd",
            "open executable: Permission denied",
            126,
            'exec: "/etc/passwd": permission denied: unknown',
        ),
        ("x", "exec container process: Exec format error", 126, 'exec: "x": exec format error: unknown'),
        (
            "x",
            "mount `/a` to `b`: No such file or directory",
            128,
            "mount `/a` to `b`: No such file or directory: unknown",
        ),
        ("x", "no user nobody", 128, "no user nobody: unknown"),
    ],
)
def test_the_runtimes_words_in_dockers(program, said, code, words):
    assert unstartable(program, said) == (code, words)
