"""`make chaos`: the long form. Prints what happens, writes a report into docs/, exits 1 when a promise broke."""

import argparse
import asyncio
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.campaign import Plan, run
from tests.chaos.report import written

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same schedule")
    parser.add_argument("--per-second", type=float, default=10.0)
    parser.add_argument("--report", type=Path, help="docs/chaos-report-<database>.md if not given")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, which goes away too")
    arguments = parser.parse_args()
    console = Console()
    plan = Plan(
        events=arguments.events,
        seed=arguments.seed if arguments.seed is not None else secrets.randbelow(1_000_000),
        per_second=arguments.per_second,
        pause=(2, 7),
        deadline=(30, 90),
        list_lag=20,
        settle=600,
        postgres=arguments.postgres,
    )
    console.print(f"{plan.events} events, seed {plan.seed}", highlight=False)
    with tempfile.TemporaryDirectory(prefix="chaos", ignore_cleanup_errors=True) as folder:
        result = asyncio.run(run(plan, Path(folder), lambda line: console.print(line, highlight=False)))
    report = written(plan, result, commit())
    name = f"chaos-report-{'postgresql' if plan.postgres else 'sqlite'}.md"
    (arguments.report or ROOT / "docs" / name).write_text(report)
    console.print(report, highlight=False)
    return 0 if result.findings.clean else 1


def commit() -> str:
    """The commit that was tested."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True
    )
    return described.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
