"""The report that goes into the repository."""

from collections import Counter

from tests.chaos.campaign import Plan, Result


def written(plan: Plan, result: Result, commit: str) -> str:
    """As Markdown."""
    found = result.findings
    again = f"make chaos SEED={plan.seed} EVENTS={plan.events}{' POSTGRES=1' if plan.postgres else ''}"
    lines = [
        f"# The last fault campaign on {'PostgreSQL' if plan.postgres else 'SQLite'}",
        "",
        f"Written by `{again}`. What the words mean: [delivery-guarantees.md](delivery-guarantees.md).",
        "",
        f"- commit `{commit}`, seed {plan.seed}",
        f"- {result.seconds:.0f} s in all, {result.settled_in:.0f} s of them after the last post, "
        f"{found.acknowledged / (result.seconds - result.settled_in):.1f} events per second",
        f"- {result.repeats} repeated posts, {result.tries} requests by callers, {result.gave_up} events given up",
        "",
        "| verdict | events |",
        "|---|---:|",
        f"| acknowledged | {found.acknowledged} |",
        f"| delivered | {found.delivered} |",
        f"| not delivered, and told with the reason | {found.not_delivered_and_told} |",
        f"| unknown or without a final status, and told | {found.unknown_and_told} |",
        f"| – of these `unknown`, though Twilio has the text | {found.unknown_and_there} |",
        f"| **lost** | **{len(found.lost)}** |",
        f"| **texted twice** | **{len(found.texted_twice)}** |",
        f"| told wrongly | {len(found.wrong)} |",
        "",
        *_table("fault", "times", result.faults),
        *_table("what Twilio or the network did to a text", "events", result.fates),
        *_table("status at the end", "events", found.ends),
    ]
    for name, cases in (("Lost", found.lost), ("Texted twice", found.texted_twice), ("Told wrongly", found.wrong)):
        if cases:
            lines += [f"## {name}", "", *(f"- `{event}`: {why}" for event, why in sorted(cases.items())), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(head: str, count: str, counter: Counter[str]) -> list[str]:
    rows = [f"| {name} | {times} |" for name, times in counter.most_common()]
    return [f"| {head} | {count} |", "|---|---:|", *rows, ""]
