"""Packages of Python alone, brought along with a script: found, checked, and made files.

pip finds and downloads them, because it knows the registry that this machine uses, and
checks each against the digest that the registry names. What they need is brought along
too, unless the kit has it. A task imports them out of their archives.

This file is a program as well, `python3 vendor.py < ORDER`: the stint command runs it so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

#: Most packages that come along, those that they need among them.
PACKAGES_MAX = 48
#: Most bytes of one of them: there is no larger one without native code or data.
WHEEL_BYTES_MAX = 32 << 20
#: Longest download of one.
PIP_SECONDS = 120
#: What only a machine can load that it was built for.
NATIVE = (".so", ".pyd", ".dylib", ".dll", ".a")
#: Python of the kit, where the kit does not say it.
PYTHON = "3.15.0"
#: Longest name of a file beside a script.
NAME_MAX = 63


class VendorError(ValueError):
    """A package cannot come along; the text says why, `hint` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def vendor(wanted: Sequence[str], available: Mapping[str, str], into: str) -> list[tuple[str, str]]:
    """Downloads `wanted` and what it needs to `into`; a name and the path of each.

    :param wanted: requirements (`humanize==4.9.0`), or paths of wheels.
    :param available: what the kit has, with versions.
    """
    req, _, tags = _packaging()
    kit = {_canonical(name): version for name, version in available.items()}
    files: dict[str, tuple[str, str]] = {}
    versions: dict[str, str] = {}
    todo: list[tuple[Any, str]] = []
    for text in wanted:
        if text.endswith(".whl"):
            name, version, path = _local(text, tags)
            todo += _needs(path, req, kit, frozenset())
            versions[name], files[name] = version, _named(name, version, path)
            continue
        try:
            todo.append((req.Requirement(text), ""))
        except req.InvalidRequirement as error:
            hint = "write NAME or NAME==VERSION, or the path of a wheel (x.whl)"
            raise VendorError(f"`{text}` names no package: {str(error).splitlines()[0]}", hint) from None
    while todo:
        requirement, needed_by = todo.pop(0)
        if requirement.url:
            raise VendorError(
                f"{requirement}{_because(needed_by)} names a URL: to build what is there would run it here",
                "name a version that the registry has, or give a wheel as a file",
            )
        name = _canonical(requirement.name)
        if name in versions or (needed_by and name in kit):
            have = versions.get(name) or kit[name]
            if not requirement.specifier.contains(have, prereleases=True):
                where = "comes along" if name in versions else "is in the kit"
                raise VendorError(
                    f"{needed_by or 'you'} ask for {requirement}, but {name} {have} {where}",
                    f"name a version of {needed_by or name} that takes it",
                )
            continue
        if len(files) >= PACKAGES_MAX:
            raise VendorError(
                f"more than {PACKAGES_MAX} packages would come along",
                "bring fewer, or only what is imported, each as a wheel",
            )
        path = _download(requirement, needed_by, kit, into)
        found, version, path = _local(path, tags)
        versions[name], files[name] = version, _named(found, version, path)
        todo += _needs(path, req, kit, frozenset(requirement.extras))
    return list(files.values())


def _packaging() -> tuple[Any, Any, Any]:
    """What knows requirements: pip's own copy, so that nothing more has to be there."""
    try:
        from pip._vendor.packaging import markers, requirements, utils
    except ImportError:
        raise VendorError(
            f"{sys.executable} has no pip, which finds packages",
            "install pip there (`python3 -m ensurepip`)",
        ) from None
    return requirements, markers, utils


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _named(name: str, version: str, path: str) -> tuple[str, str]:
    """Its name beside the script: of few characters, and an archive's."""
    plain = "".join(sign if sign.isalnum() or sign in "-." else "_" for sign in f"{name}-{version}")
    return f"{plain[: NAME_MAX - 4]}.whl", path


def _local(path: str, utils: Any) -> tuple[str, str, str]:
    """Name and version of a wheel, which has to be one of Python alone."""
    shown = os.path.basename(path)
    try:
        name, version, _, tags = utils.parse_wheel_filename(shown)
    except ValueError as error:
        hint = "a wheel is called NAME-VERSION-py3-none-any.whl"
        raise VendorError(f"`{path}` is not named as a wheel is: {error}", hint) from None
    try:
        size = os.stat(path).st_size
        with zipfile.ZipFile(path) as archive:
            native = [file for file in archive.namelist() if file.endswith(NATIVE)]
    except OSError as error:
        hint = "give the path of a wheel that is here"
        raise VendorError(f"cannot read `{path}`: {error.strerror}", hint) from None
    except zipfile.BadZipFile:
        raise VendorError(f"`{path}` is not a wheel, or it is cut off", "build it again") from None
    platforms = {tag.platform for tag in tags} - {"any"}
    if native or platforms:
        what = native[0] if native else f"code for {sorted(platforms)[0]}"
        raise VendorError(
            f"{name} {version} has native code ({what}), which WebAssembly cannot load",
            "only packages of Python alone come along; is there one that does the same?",
        )
    if size > WHEEL_BYTES_MAX:
        raise VendorError(
            f"{name} {version} has {size} bytes; at most {WHEEL_BYTES_MAX}",
            "give data as an input instead",
        )
    return _canonical(str(name)), str(version), path


def _needs(path: str, req: Any, kit: Mapping[str, str], extras: frozenset[str]) -> list[tuple[Any, str]]:
    """What a wheel says that it needs, in the kit's Python."""
    with zipfile.ZipFile(path) as archive:
        about = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(about[0]).decode(errors="replace") if about else ""
    version = kit.get("python", PYTHON)
    environment = {
        "python_version": ".".join(version.split(".")[:2]),
        "python_full_version": version,
        "implementation_name": "cpython",
        "implementation_version": version,
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "wasi",
        "platform_system": "",
        "platform_machine": "wasm32",
        "platform_release": "",
        "platform_version": "",
    }
    needs = []
    for line in text.split("\n\n", 1)[0].splitlines():
        if line.startswith("Requires-Dist:"):
            needed = req.Requirement(line.partition(":")[2].strip())
            marker = needed.marker
            asked = [{**environment, "extra": extra} for extra in (extras or {""})]
            if marker is None or any(marker.evaluate(one) for one in asked):
                needs.append((needed, os.path.basename(path).split("-")[0]))
    return needs


def _because(needed_by: str) -> str:
    return f", which {needed_by} needs," if needed_by else ""


def _download(requirement: Any, needed_by: str, kit: Mapping[str, str], into: str) -> str:
    """Has pip find a wheel of Python alone."""
    place = tempfile.mkdtemp(dir=into)
    python = ".".join(kit.get("python", PYTHON).split(".")[:2])
    requirement.marker = None
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", place]
    command += ["--platform", "any", "--implementation", "py", "--abi", "none"]
    command += ["--python-version", python, "--no-input", str(requirement)]
    try:
        pip = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired:
        hint = "is the registry slow, or out of reach? try again"
        raise VendorError(f"{requirement} did not come within {PIP_SECONDS} seconds", hint) from None
    wheels = os.listdir(place)
    if pip.returncode == 0 and wheels:
        return os.path.join(place, wheels[0])
    said = [line for line in pip.stderr.splitlines() if line.startswith("ERROR")]
    why = (said or pip.stderr.splitlines() or ["pip said nothing"])[-1].removeprefix("ERROR: ")
    have = kit.get(_canonical(requirement.name))
    hint = "only wheels of Python alone come along; check the name and the version"
    if have is not None:
        hint = f"the kit has {requirement.name} {have} already: import it without bringing it along"
    raise VendorError(f"{requirement}{_because(needed_by)} cannot come along: {why}", hint)


def collect(wanted: Sequence[str], available: Mapping[str, str]) -> list[Any]:
    """The files of `vendor`, read, for the client."""
    from .errors import InputError
    from .job import File

    with tempfile.TemporaryDirectory(prefix="stint-with-") as into:
        try:
            found = vendor(wanted, available, into)
        except VendorError as error:
            raise InputError(str(error), error.hint) from None
        files = []
        for name, path in found:
            with open(path, "rb") as file:
                files.append(File(name, file.read()))
        return files


def main() -> None:
    """Reads `{"wanted", "available", "into"}`, writes `{"files": [[name, path]]}` or
    `{"error", "hint"}`."""
    order = json.load(sys.stdin)
    try:
        files = vendor(order["wanted"], order["available"], order["into"])
        answer: dict[str, Any] = {"files": files}
    except VendorError as error:
        answer = {"error": str(error), "hint": error.hint}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
