"""What is submitted: a program, and fields named as in a job file, made into the API's job.

Paths of inputs and outputs that are on this machine become `file://` URLs, as the command
line makes them; everything else is left to the scheduler, which says what is wrong.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

from .errors import InputError

#: Read and hashed at once.
PIECE_BYTES = 1 << 20


class JobFields(TypedDict, total=False):
    """A job's fields; `GET /openapi.json` of a scheduler says all about them.

    Amounts are written as people write them: `memory="1Gi"`, `timeout="10m"`, `cpu=0.5`.
    One that is not known here is sent all the same: the scheduler knows what it knows.
    """

    name: str
    namespace: str
    kit: str
    args: Sequence[str]
    env: Mapping[str, str]
    tasks: int
    only: str
    parallelism: int
    cpu: float | str
    memory: int | str
    scratch: int | str
    timeout: str
    task_timeout: str
    job_timeout: str
    queue_timeout: str
    stall: str
    retries: int
    retry: Sequence[Mapping[str, Any]]
    max_failed: int
    after: Sequence[str]
    constraints: Sequence[str]
    prefer: Sequence[str]
    spread: str
    priority: int
    isolation: str
    inputs: Mapping[str, str | os.PathLike[str]] | Sequence[Mapping[str, Any]]
    output: str | os.PathLike[str]
    #: Files that lie beside the script, by their names there.
    files: Mapping[str, str | os.PathLike[str] | bytes]
    #: Packages of Python alone that come along: `humanize==4.9.0`, or a wheel.
    with_: Sequence[str]


#: Lists that go on after those of a job file; inputs and variables win one by one.
GO_ON = ("after", "constraints", "prefer", "with_")


@dataclass(frozen=True)
class File:
    """A file to be put: its bytes, or where they are."""

    name: str
    source: bytes | Path

    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits."""
        hash_ = hashlib.sha256()
        if isinstance(self.source, bytes):
            hash_.update(self.source)
        else:
            with _open(self.source) as file:
                while piece := file.read(PIECE_BYTES):
                    hash_.update(piece)
        return f"sha256:{hash_.hexdigest()}"

    def read(self) -> bytes:
        if isinstance(self.source, bytes):
            return self.source
        with _open(self.source) as file:
            return bytes(file.read())


@dataclass
class Draft:
    """A job that waits for what it runs to be sent."""

    #: A module, or a script.
    program: File
    is_module: bool
    #: What lies beside the script.
    files: list[File] = field(default_factory=list)
    #: Packages to vendor.
    packages: list[str] = field(default_factory=list)
    #: The rest of the job, as the API takes it.
    spec: dict[str, Any] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return str(self.spec.get("namespace", "default"))


def _open(path: Path) -> Any:
    try:
        return open(path, "rb")
    except OSError as error:
        hint = "give the path of a module (x.wasm), a script (x.py) or a job file (job.toml)"
        raise InputError(f"cannot read `{path}`: {error.strerror}", hint) from None


def draft(program: str | os.PathLike[str] | File, fields: Mapping[str, Any]) -> Draft:
    """Makes a job of a program, a script or a job file, and fields that win over the file's."""
    merged = _placed(fields, Path())
    if not isinstance(program, File):
        path = Path(program)
        if path.suffix == ".toml":
            written = _job_file(path)
            program = _program(path, written)
            merged = _merged(_placed(written, path.parent), merged)
            path = path.parent / program
        program = File(path.name, path)
    with_ = merged.pop("with_", ())
    beside = [
        File(name, source if isinstance(source, bytes) else Path(source))
        for name, source in merged.pop("files", {}).items()
    ]
    is_module = program.name.endswith(".wasm")
    if is_module and (beside or with_):
        raise InputError(
            "a module has no files beside it: only a script that a kit runs has",
            "give it inputs=…, or write a script",
        )
    return Draft(program, is_module, beside, list(with_), merged)


def _placed(fields: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The same, with paths that are meant from `base` made URLs of this machine."""
    placed = {name: value for name, value in fields.items() if value is not None}
    for name in ("args", "retry", *GO_ON):
        if isinstance(placed.get(name), str):
            raise InputError(f"`{name}` is a list", f"write {name}=['{placed[name]}']")
        if name in placed:
            placed[name] = list(placed[name])
    if "inputs" in placed:
        placed["inputs"] = _inputs(placed["inputs"], base)
    if "output" in placed:
        placed["output"] = _url(placed["output"], base, must_exist=None)
    if "env" in placed:
        placed["env"] = dict(placed["env"])
    if "with_" in placed:
        placed["with_"] = [
            str(base / one) if one.endswith(".whl") else one for one in placed["with_"]
        ]
    return placed


def _merged(written: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """A file's fields and those that win over it, as the command line merges them."""
    merged = {**written, **fields}
    for name in GO_ON:
        if name in merged:
            merged[name] = written.get(name, []) + fields.get(name, [])
    if "env" in merged:
        merged["env"] = {**written.get("env", {}), **fields.get("env", {})}
    if "inputs" in merged:
        own = fields.get("inputs", [])
        names = [one.get("name") for one in own]
        kept = [one for one in written.get("inputs", []) if one.get("name") not in names]
        merged["inputs"] = kept + own
    return merged


def _job_file(path: Path) -> dict[str, Any]:
    with _open(path) as file:
        try:
            written = tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"`{path}` is not a job file: {error}") from None
    if "with" in written:
        written["with_"] = written.pop("with")
    return written


def _program(path: Path, written: dict[str, Any]) -> str:
    module, script = written.pop("module", None), written.pop("script", None)
    program = script or module
    if not isinstance(program, str):
        hint = 'write `module = "x.wasm"`, or `script = "x.py"`'
        raise InputError(f"`{path}` names neither `module` nor `script`", hint)
    return program


def _inputs(inputs: Any, base: Path) -> list[dict[str, Any]]:
    if isinstance(inputs, Mapping):
        inputs = [{"name": name, "url": url} for name, url in inputs.items()]
    listed = [dict(one) for one in inputs]
    for one in listed:
        if "url" in one:
            one["url"] = _url(one["url"], base, must_exist=str(one.get("name")))
    return listed


def _url(place: str | os.PathLike[str], base: Path, must_exist: str | None) -> str:
    text = os.fspath(place)
    if "://" in text:
        return text
    path = (base / text).absolute()
    if must_exist is not None:
        if "*" in text and not path.exists():
            # Stars stand for many.
            return f"file://{quote(str(path), safe='/*')}"
        if not path.exists():
            hint = "give a path that is here, or file:///an/absolute/path for one on the nodes"
            raise InputError(f"input `{must_exist}`: cannot find `{path}`", hint)
        path = path.resolve()
    return path.as_uri()
