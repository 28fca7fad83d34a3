"""Patterns of files to leave out: .dockerignore, and COPY --exclude.

The last pattern that fits a path, or a directory above it, decides; `!` takes back.
Source: Dockerfile reference, ".dockerignore file".
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from coracle.core.errors import Malformed
from coracle.image.dockerfile.globs import TreeGlob

MAX_PATTERNS = 10_000


@dataclass(frozen=True, slots=True)
class Ignore:
    """`patterns`: whether a path that fits is left out (False: taken back), and what fits."""

    patterns: tuple[tuple[bool, TreeGlob], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Ignore:
        """A file of patterns, one per line.  Raises Malformed."""
        lines = text.removeprefix("\ufeff").splitlines()
        return cls.of(*(line.strip() for line in lines if not line.startswith("#")))

    @classmethod
    def of(cls, *texts: str) -> Ignore:
        """Raises Malformed."""
        found = []
        for text in texts:
            is_back = text.startswith("!")
            pattern = text[1:].strip() if is_back else text
            if is_back and not pattern:
                raise Malformed('illegal exclusion pattern: "!"')
            if pattern:
                clean = posixpath.normpath(pattern).lstrip("/")
                found.append((not is_back, TreeGlob.of(clean)))
        if len(found) > MAX_PATTERNS:
            raise Malformed(f"more than {MAX_PATTERNS} exclusion patterns")
        return cls(tuple(found))

    def excludes(self, path: str) -> bool:
        """Whether the file or directory `path` (relative, "a/b") is left out."""
        if not self.patterns:
            return False
        names = path.split("/")
        decided = False
        for leaves_out, glob in self.patterns:
            if leaves_out != decided and glob.matches(names):
                decided = leaves_out
        return decided


NOTHING = Ignore()
