"""A scheduler and its nodes as processes of this program: `stint dev` with all that it
keeps in a directory that goes with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading

from .errors import InputError, StintError

#: Longest until it is ready: it starts in a second, a busy machine takes longer.
READY_SECONDS = 60.0
#: Longest until it has stopped what runs; then it is killed.
STOP_SECONDS = 20.0
#: Runs a program until that ends, or until nobody holds the other end of its standard
#: input any more: also one who was killed leaves nothing behind.
GUARD = """
dir=$1; shift
exec 3<&0
"$@" 3<&- </dev/null & child=$!
{ cat <&3 >/dev/null; kill -TERM $child 2>/dev/null; } & guard=$!
exec 3<&-
wait $child; code=$?
kill $guard 2>/dev/null
rm -rf -- "$dir"
exit $code
"""


class Local:
    """It runs, and answers at `server` to who bears `token`."""

    def __init__(
        self, process: subprocess.Popen[str], server: str, token: str, place: str
    ) -> None:
        self._process = process
        self._place = place
        self.server = server
        self.token = token

    @staticmethod
    def start(binary: str | None, nodes: int) -> Local:
        """Starts it, and returns when it is ready."""
        binary = binary or os.environ.get("STINT_BINARY") or shutil.which("stint")
        if not binary or not shutil.which(binary):
            raise InputError(
                f"there is no `{binary or 'stint'}` to run",
                "put the stint command into PATH, set STINT_BINARY, or name it: binary='…/stint'",
            )
        # Others on this machine can reach the port, and must not run as this user.
        token = secrets.token_hex(16)
        place = tempfile.mkdtemp(prefix="stint-local-")
        command = [binary, "--json", "dev", "--nodes", str(nodes), "--listen", "127.0.0.1:0"]
        command += ["--data-dir", place, "--allow-inputs", "/", "--allow-outputs", "/"]
        env = {**os.environ, "STINT_TOKEN": token}
        for name in ("STINT_SERVER", "STINT_TOKEN_FILE"):
            env.pop(name, None)
        process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", place, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            # Ctrl-C is for this program, which then says what is to stop.
            start_new_session=True,
        )
        said: list[str] = []
        errors = threading.Thread(target=_gather, args=(process.stderr, said), daemon=True)
        errors.start()
        late = threading.Timer(READY_SECONDS, _kill, (process,))
        late.start()
        ready = _ready(process.stdout)
        late.cancel()
        if ready is None:
            _kill(process)
            process.wait()
            errors.join(1.0)
            _close(process)
            shutil.rmtree(place, ignore_errors=True)
            why = "".join(said).strip() or f"it was not ready within {READY_SECONDS:.0f} seconds"
            raise StintError(f"`{binary} dev` does not start: {why}")
        return Local(process, ready, token, place)

    def stop(self) -> None:
        """Stops it; nothing of it is left."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(self._process)
            self._process.wait()
            # Who would have removed it was killed, too.
            shutil.rmtree(self._place, ignore_errors=True)
        _close(self._process)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kills it and all that it started: what lives holds the pipes that are read."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _close(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _ready(stdout: object) -> str | None:
    """The address, once it is told: a JSON object, of one line or several."""
    text = ""
    for line in stdout:  # type: ignore[attr-defined]
        text += line
        try:
            return str(json.loads(text)["server"])
        except ValueError:
            continue
    return None


def _gather(stderr: object, said: list[str]) -> None:
    """Reads all that it says, so that it never waits; the first lines are kept."""
    for line in stderr:  # type: ignore[attr-defined]
        if len(said) < 50:
            said.append(line)
