"""Sets up .venv from the lock file: every package pinned and its hash checked. Done again only when that changes.

Runs on a bare Python 3.11+, so it uses the standard library alone.
"""

import fcntl
import hashlib
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.lock"
STAMP = VENV / "installed"


def main() -> None:
    if sys.version_info < (3, 11):
        sys.exit(
            f"Heliograph needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: make PYTHON=python3.12"
        )
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once in one clone
        wanted = fingerprint()
        if not STAMP.exists() or STAMP.read_text() != wanted:
            install()
            STAMP.write_text(wanted)


def fingerprint() -> str:
    """Changes with the lock file, the project's metadata, the interpreter and the place."""
    parts = [LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), sys.version.encode(), str(ROOT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def install() -> None:
    try:
        venv.create(VENV, clear=True, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError:
        sys.exit("Python's venv module is not complete here; on Debian: apt-get install python3-venv")
    total = len(re.findall(r"^[a-z0-9][a-z0-9._-]*==", LOCK.read_text(), re.MULTILINE))
    say(f"Installing {total} packages into .venv (once)")
    begin = time.monotonic()
    pip("install", "--require-hashes", "--requirement", str(LOCK), total=total)
    pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    say(f"Installed in {time.monotonic() - begin:.0f} s", end="\n")


def pip(*arguments: str, total: int = 0) -> None:
    """Runs pip and shows how far it is; all that it printed if it fails."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *arguments]
    printed: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        assert child.stdout is not None
        seen = 0
        for line in child.stdout:
            printed.append(line)
            if line.startswith("Collecting "):
                seen += 1
                say(f"Fetching {min(seen, total)}/{total}  {line.split()[1].split('==')[0]}")
            elif total and line.startswith("Installing collected"):
                say(f"Unpacking {total} packages")
    if child.returncode != 0:
        sys.exit("\n" + "".join(printed[-30:]))


def say(text: str, end: str = "") -> None:
    """One line that is written over on a terminal, a line each elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{text}{end}")
    elif not text.startswith("Fetching"):
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
