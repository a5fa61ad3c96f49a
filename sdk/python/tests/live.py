"""The product, as the tests of this folder find it: the binary that STINT_BINARY names."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

BINARY = os.environ.get("STINT_BINARY") or shutil.which("stint")
#: What is written into a wheel beside its modules.
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"


def add_kit() -> None:
    """Adds the Python kit to this user's, as whoever runs scripts does once."""
    assert BINARY, "set STINT_BINARY to the stint command"
    subprocess.run([BINARY, "kit", "add", "python"], check=True, stdout=subprocess.DEVNULL)


def scripts(place: str, **texts: str) -> dict[str, Path]:
    """Scripts by their names without the end."""
    paths = {}
    for name, text in texts.items():
        paths[name] = Path(place, f"{name}.py")
        paths[name].write_text(text)
    return paths


def wheel(
    place: str | Path, name: str, version: str, files: dict[str, str], tags: str = "py3-none-any",
    needs: tuple[str, ...] = (),
) -> Path:
    """A wheel with these files."""
    path = Path(place, f"{name}-{version}-{tags}.whl")
    about = f"{name}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {one}\n" for one in needs)
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        metadata = METADATA.format(name=name, version=version, needs=required)
        archive.writestr(f"{about}/METADATA", metadata)
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nTag: {tags}\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


@contextlib.contextmanager
def offline(wheels: Path) -> Iterator[None]:
    """pip finds what is in a directory, and nothing else."""
    there = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    os.environ.update(there)
    try:
        yield
    finally:
        for name in there:
            del os.environ[name]


def temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="stint-client-")
