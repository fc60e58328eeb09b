"""The report that goes into the repository."""

import statistics
from collections.abc import Mapping
from typing import Any

from tests.soak.samples import Series
from tests.soak.soak import BAD_WEATHER, FILLS_IN, SHARE, Judged, Result

_PARTS = {
    "api": "API",
    "worker": "worker",
    "simulator": "simulator",
    "temporal": "Temporal",
    "postgresql": "PostgreSQL",
}
_UNITS = {"memory": "MiB", "WAL": "MiB", "database": "MiB"}
BINS = 30  # points of a chart


def written(result: Result, about: Mapping[str, Any]) -> str:
    """As Markdown."""
    soak, found, machine = result.soak, result.findings, about["machine"]
    again = f"make soak MINUTES={soak.minutes:g} SEED={soak.seed}"
    again += f" PER_SECOND={soak.per_second:g}" if soak.per_second is not None else ""
    again += " POSTGRES=1" if soak.postgres else ""
    rate = f"{result.per_second:g} a second"
    if soak.per_second is None:
        share = SHARE * BAD_WEATHER
        rate += f", {share:.0%} of the {result.saturation:.1f} that it can take in calm weather"
    lines = [
        f"# The last soak on {'PostgreSQL' if soak.postgres else 'SQLite'}: {'passed' if result.clean else 'failed'}",
        "",
        f"Written by `{again} KEEP=1`: the stack of `make chaos` under a steady load, with every sort of fault in "
        "turn (in the last two thirds only those that leave API and worker running), and a look every few seconds at "
        "everything that could grow.",
        "",
        f"- {about['at']}, commit `{about['commit']}`, {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memoryGiB']} GiB",
        f"- {rate}, which kept {result.busy:.0f} % of the processors busy, for {result.seconds / 60:.0f} minutes; "
        f"{result.settled_in:.0f} s until nothing was open any more; {result.faults.total()} faults",
        f"- {', '.join(f'{count} {kind}' for kind, count in result.kinds.most_common())}; a webhook for each end",
        f"- operators cleared up what had no end: {result.clerk[0]} by a late word of the carrier, {result.clerk[1]} "
        "sent again",
        f"- on disk for each notification: {_kilobytes(result.kilobytes)}",
        "",
        "| verdict | events |",
        "|---|---:|",
        f"| acknowledged | {found.acknowledged} |",
        f"| delivered | {found.delivered} |",
        f"| not delivered, and told with the reason | {found.not_delivered_and_told} |",
        f"| unknown or without a final status, and told | {found.unknown_and_told} |",
        f"| **lost** | **{len(found.lost)}** |",
        f"| **texted twice** | **{len(found.texted_twice)}** |",
        f"| told wrongly | {len(found.wrong)} |",
        f"| caller not told of the end | {len(result.not_told)} |",
        f"| without an end in time | {len(result.unsettled)} |",
        "",
        "## What grew",
        "",
        f"*Within* is the slope of Theil and Sen within the lives of processes, the first {soak.warm_up:.0f} s of each "
        "left out, times the length of the run; *across* is how much higher later lives begin (up to twice as much is "
        "allowed: how a process starts depends on what waits for it). Memory is what the process shares with nobody "
        "(USS), of PostgreSQL's processes their proportional share (PSS). What is open is judged once the load has "
        f"filled it, after {FILLS_IN:.0f} s.",
        "",
        "| part | measure | level | top | lives | within | across | allowed | |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
        *(_row(one) for one in result.judged),
        "",
        "| at rest | measure | before | after | |",
        "|---|---|---:|---:|---|",
        *(
            f"| {_PARTS.get(one.part, '')} | {one.measure} | {one.before:.0f} | {one.after:.0f} | "
            f"{'' if one.same else '**more**'} |"
            for one in result.rests
        ),
        "",
        "Temporal's dev server keeps what it has written in caches that expire after an hour, and the simulator keeps "
        "every message, as Twilio does: both are told of and not judged. Databases grow with what they keep.",
        "",
        *_charts(result),
        "| fault | times |",
        "|---|---:|",
        *(f"| {name} | {times} |" for name, times in result.faults.most_common()),
        "",
    ]
    cases = (
        ("Lost", found.lost),
        ("Texted twice", found.texted_twice),
        ("Told wrongly", found.wrong),
        ("Callers not told", result.not_told),
    )
    for name, which in cases:
        if which:
            lines += [f"## {name}", "", *(f"- `{event}`: {why}" for event, why in sorted(which.items())), ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(one: Judged) -> str:
    went = one.went
    unit = next((unit for word, unit in _UNITS.items() if one.measure.endswith(word)), "")
    figures = [f"{went.level:.0f}", f"{went.top:.0f}", str(went.lifetimes) if one.part != "kept" else ""]
    figures += ["" if value is None else f"{value:+.1f}" for value in (went.within, went.across)]
    figures.append("" if one.limit is None else f"{went.allowed(one.limit):.1f}")
    verdict = "" if one.limit is None else "**grows**" if not one.flat else "flat" if went.told else "lives too short"
    measure = f"{one.measure}, {unit}" if unit else one.measure
    return f"| {_PARTS.get(one.part, '')} | {measure} | {' | '.join(figures)} | {verdict} |"


def _kilobytes(found: Mapping[str, float]) -> str:
    return ", ".join(f"{size:.1f} KiB {name}" for name, size in found.items())


def _charts(result: Result) -> list[str]:
    memory = [one for one in result.series if one.measure == "memory" and one.part in _PARTS]
    order = list(_PARTS)
    memory.sort(key=lambda one: order.index(one.part))
    named = ", ".join(_PARTS[one.part] for one in memory)
    opened = [one for one in result.series if one.measure == "open workflows"]
    return [
        *_chart(f"memory in MiB: {named}", memory, result.seconds),
        *_chart("open workflows", opened, result.seconds),
    ]


def _chart(title: str, series: list[Series], seconds: float) -> list[str]:
    lines = [_binned(one, seconds) for one in series]
    top = max((value for line in lines for value in line), default=0)
    return [
        "```mermaid",
        "xychart-beta",
        f'    title "{title}"',
        f'    x-axis "minutes" 0 --> {seconds / 60:.0f}',
        f"    y-axis 0 --> {max(1, round(top * 1.1))}",
        *(f"    line [{', '.join(f'{value:.0f}' for value in line)}]" for line in lines),
        "```",
        "",
    ]


def _binned(series: Series, seconds: float) -> list[float]:
    """Medians over equal times; where there is none, as before."""
    points = sorted((point for life in series.lifetimes.values() for point in life), key=lambda point: point.at)
    width, found = seconds / BINS, list[float]()
    for number in range(BINS):
        values = [point.value for point in points if number * width <= point.at < (number + 1) * width]
        found.append(statistics.median(values) if values else found[-1] if found else 0.0)
    return found
