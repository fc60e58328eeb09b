"""`make soak`: half an hour under load and faults. Exits 1 when something was lost, sent twice or grew."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.bench.__main__ import machine
from tests.chaos.__main__ import ROOT, commit
from tests.soak.report import written
from tests.soak.soak import Soak, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same load and faults")
    parser.add_argument("--per-second", type=float, default=None, help="instead of 70 % of saturation in such weather")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, which goes away too")
    parser.add_argument("--keep", action="store_true", help="write docs/soak-report.md")
    parser.add_argument("--samples", type=Path, help="where to write all that was seen, as JSON")
    arguments = parser.parse_args()
    console = Console()
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(1_000_000)
    soak = Soak(arguments.minutes, seed, arguments.per_second, arguments.postgres)
    about = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "commit": commit(), "machine": machine()}
    began = datetime.now(UTC)

    def tell(line: str) -> None:
        console.print(f"{(datetime.now(UTC) - began).seconds // 60:>3} min  {line}", highlight=False)

    tell(f"{soak.minutes:g} minutes, seed {seed}")
    with tempfile.TemporaryDirectory(prefix="hg", ignore_cleanup_errors=True) as folder:
        result = asyncio.run(run(soak, Path(folder), tell))
    report = written(result, about)
    console.print(report, highlight=False)
    if arguments.samples:
        arguments.samples.write_text(json.dumps([asdict(one) for one in result.series]))
    if arguments.keep:
        name = "soak-report-postgresql.md" if soak.postgres else "soak-report.md"
        (ROOT / "docs" / name).write_text(report)
    return 0 if result.clean else 1


if __name__ == "__main__":
    sys.exit(main())
