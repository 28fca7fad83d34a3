"""What a step runs, and how histories show it; pure, but for `script_mount`.

Source: moby builder/dockerfile (what histories say); Dockerfile reference, "Here-Documents".
"""

from __future__ import annotations

import json
from pathlib import Path

from coracle.core.errors import Invalid
from coracle.engine.builds import files
from coracle.image.config import Settings
from coracle.image.digests import digest_of
from coracle.image.dockerfile import settings as metadata
from coracle.image.dockerfile.syntax import Instruction
from coracle.runtime.api import Mount


def command(one: Instruction, settings: Settings) -> tuple[tuple[str, ...], str]:
    """The program's words, and the script that it is, where a here-document is one of its own ("#!")."""
    if one.is_json:
        if not one.args:
            raise Invalid(message="no command specified")
        return one.args, ""
    line = one.args[0] if one.args else ""
    if len(one.heredocs) == 1 and line.split()[:1] == [line] and line.startswith("<<"):
        document = one.heredocs[0]
        if document.content.startswith("#!"):
            return (f"/dev/pipes/{document.name}",), document.content
        return (*metadata.shell_of(settings), document.content), ""
    whole = "\n".join([line, *(f"{document.content}{document.name}" for document in one.heredocs)])
    return (*metadata.shell_of(settings), whole), ""


def script_mount(scratch: Path, target: str, script: str) -> Mount:
    scratch.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = scratch / "script"
    path.write_text(script)
    path.chmod(0o755)
    return Mount(target=target, source=str(path), read_only=True)


def shown(one: Instruction, settings: Settings) -> str:
    """An instruction as histories show it."""
    match one.name:
        case "CMD":
            return f" CMD [{' '.join(json.dumps(word) for word in settings.cmd)}]"
        case "ENTRYPOINT":
            return f" ENTRYPOINT [{' '.join(json.dumps(word) for word in settings.entrypoint)}]"
        case "ENV" | "LABEL":
            return f" {one.name} {' '.join(f'{name}={value}' for name, value in metadata.pairs(one))}"
        case "HEALTHCHECK" | "SHELL":
            return f" {one.text}"
    return f" {one.name} {' '.join(one.args)}"


def summary(pieces: list[files.Piece]) -> str:
    """What was copied, as histories show it."""
    if len(pieces) != 1:
        total = json.dumps([piece.fingerprint for piece in pieces])
        return f"multi:{digest_of(total.encode()).removeprefix('sha256:')}"
    kind = "dir" if pieces[0].found.is_directory else "file"
    return f"{kind}:{pieces[0].fingerprint}"
