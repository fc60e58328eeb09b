"""`make fuzz`: hostile input for some minutes, other examples every time; the seed that is printed brings them back."""

import argparse
import os
import secrets
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    options = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    options.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    options.add_argument("--examples", type=int, default=60, help="of schemathesis, for each operation")
    chosen = options.parse_args()
    print(f"make fuzz SEED={chosen.seed} EXAMPLES={chosen.examples}", flush=True)  # noqa: T201
    command = [sys.executable, "-m", "pytest", "-n", "0", "--timeout", "1800", f"--hypothesis-seed={chosen.seed}"]
    files = [str(HERE / name) for name in ("test_parsing.py", "test_signatures.py", "fuzz.py")]
    environment = {
        **os.environ,
        "EXPLORE": "far",
        "FUZZ_SEED": str(chosen.seed),
        "FUZZ_EXAMPLES": str(chosen.examples),
    }
    return subprocess.run([*command, *files], cwd=HERE.parent.parent, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
