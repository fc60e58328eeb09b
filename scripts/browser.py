"""Sees to it that the tests which open Temporal's UI have a browser: Debian's Chromium, where we may install it.

Runs on a bare Python 3.11+, so it uses the standard library alone.
"""

import os
import shutil
import subprocess
import sys

INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium")


def main() -> None:
    if shutil.which("chromium"):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.stderr.write("No chromium here: the tests that open Temporal's UI are skipped.\n")
        return
    sys.stderr.write("Installing chromium for the tests that open Temporal's UI (once)\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("apt-get", "update"), INSTALL):
        ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if ended.returncode != 0:
            sys.stderr.write(ended.stdout[-2000:])


if __name__ == "__main__":
    main()
