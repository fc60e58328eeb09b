"""What the figures say: on the terminal, as JSON, and in docs/performance.md."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BEGIN, END = "<!-- figures: made by `make bench KEEP=1` -->", "<!-- end of figures -->"


def ratios(figures: dict[str, Any]) -> list[tuple[str, float, float, bool]]:
    """Each target: what, the figure, the target, whether more is better."""
    bare, ours = figures["throughput"]["floor"], figures["throughput"]["heliograph"]
    one, per = figures["single"], figures["perNotification"]
    twilio = 100.0  # ms that the simulated Twilio takes by itself
    return [
        ("throughput ÷ bare workflow", ours["perSecond"] / bare["perSecond"], 0.80, True),
        ("own CPU ÷ bare client and worker", ours["cpuMs"] / bare["cpuMs"], 1.2, False),
        ("POST p50 at 10/s ÷ bare start", figures["steady"]["10"]["postP50"] / one["floor"]["takenP50"], 2.0, False),
        (
            "end to end without Twilio's time ÷ bare workflow, one by one",
            (one["heliograph"]["endedP50"] - twilio) / one["floor"]["endedP50"],
            1.2,
            False,
        ),
        ("Temporal actions per delivered notification", per["actions"], 6, False),
        ("history events per delivered notification", per["events"], 21, False),
    ]


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured: what, of the bare workflow, of Heliograph."""
    bare, ours = figures["throughput"]["floor"], figures["throughput"]["heliograph"]
    one, per, steady = figures["single"], figures["perNotification"], figures["steady"]
    return [
        ("per second, 32 at once", f"{bare['perSecond']:.1f}", f"{ours['perSecond']:.1f}"),
        ("rounds", _list(bare["rounds"]), _list(ours["rounds"])),
        ("own CPU each, ms", f"{bare['cpuMs']:.1f}", f"{ours['cpuMs']:.1f}"),
        (
            "of which client or API / worker, ms",
            f"{bare['clientCpuMs']:.1f} / {bare['workerCpuMs']:.1f}",
            f"{ours['apiCpuMs']:.1f} / {ours['workerCpuMs']:.1f}",
        ),
        ("the dev server's CPU each, ms", f"{bare['serverCpuMs']:.1f}", f"{ours['serverCpuMs']:.1f}"),
        ("end to end p50 / p99, 32 at once, ms", _pair(bare, "ended"), _pair(ours, "ended")),
        ("taken p50, one by one, ms", f"{one['floor']['takenP50']:.1f}", f"{one['heliograph']['takenP50']:.1f}"),
        ("end to end p50, one by one, ms", f"{one['floor']['endedP50']:.0f}", f"{one['heliograph']['endedP50']:.0f}"),
        ("POST p50 / p99 at 10 a second, ms", "", _pair(steady["10"], "post")),
        ("the same to known recipients, ms", "", _pair(steady["10 known"], "post")),
        (f"POST p50 / p99 at {steady['80 %']['perSecond']} a second (80 %), ms", "", _pair(steady["80 %"], "post")),
        ("from acceptance to Twilio's answer, ms", "", f"{per['postToTwilioMs']:.0f}"),
        ("from Twilio's callback to the end, ms", "", f"{per['callbackToFinalMs']:.0f}"),
        ("history events", "", f"{per['events']:.0f}"),
        ("history bytes", "", f"{per['historyBytes']:.0f}"),
        ("bytes in Temporal's database (SQLite)", "", f"{figures['storedBytes']['temporal']:.0f}"),
        (f"bytes in Heliograph's ({figures['database']})", "", f"{figures['storedBytes']['heliograph']:.0f}"),
        ("Temporal actions", "", f"{per['actions']:.2f}"),
        ("resident memory, MiB", "", ", ".join(f"{name} {size}" for name, size in figures["memoryMiB"].items())),
    ]


def write(figures: dict[str, Any], docs: Path | None) -> int:
    """Prints the figures, and keeps them in `docs` where one is given. 0."""
    console = Console(width=120)
    table = Table(
        "", "bare workflow", "Heliograph", title=f"{figures['commit']}, {figures['database']}, {figures['at']}"
    )
    for row in rows(figures):
        table.add_row(*row)
    console.print(table)
    targets = Table("target", "measured", "wanted", "")
    for what, value, wanted, more in ratios(figures):
        met = value >= wanted if more else value <= wanted
        sign = "≥" if more else "≤"
        targets.add_row(what, f"{value:.2f}", f"{sign} {wanted:g}", "[green]met[/]" if met else "[yellow]missed[/]")
    console.print(targets)
    if docs is not None:
        (docs / "performance.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
        page = docs / "performance.md"
        before, _, rest = page.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n{_markdown(figures)}{END}{after}")
    return 0


def _markdown(figures: dict[str, Any]) -> str:
    machine = figures["machine"]
    bare, ours = figures["throughput"]["floor"], figures["throughput"]["heliograph"]
    lines = [
        "",
        f"Measured {figures['at']} at {figures['commit']}, on {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memoryGiB']} GiB.",
        "",
        "| target | measured | wanted | |",
        "|---|---|---|---|",
    ]
    for what, value, wanted, more in ratios(figures):
        met = value >= wanted if more else value <= wanted
        lines.append(f"| {what} | {value:.2f} | {'≥' if more else '≤'} {wanted:g} | {'met' if met else '**missed**'} |")
    lines += ["", "| | bare workflow | Heliograph |", "|---|---|---|"]
    lines += [f"| {what} | {floor} | {own} |" for what, floor, own in rows(figures)]
    rounds = len(bare["rounds"])
    top = int(max(*bare["rounds"], *ours["rounds"])) + 5
    lines += [
        "",
        "```mermaid",
        "xychart-beta",
        '    title "per second in each round: the bare workflow (line), Heliograph (bars)"',
        f"    x-axis [{', '.join(str(number + 1) for number in range(rounds))}]",
        f"    y-axis 0 --> {top}",
        f"    bar [{_list(ours['rounds'])}]",
        f"    line [{_list(bare['rounds'])}]",
        "```",
        "",
    ]
    return "\n".join(lines)


def _pair(found: dict[str, float], name: str) -> str:
    return f"{found[f'{name}P50']:.1f} / {found[f'{name}P99']:.0f}"


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
