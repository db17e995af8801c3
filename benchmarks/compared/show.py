"""Show the answers of `run.compared`: one table, one picture, and where memori is not first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from run import FLOORS, QUESTIONS

MARKS = {"right": "✓", "stale": "**stale**", "needless": "reruns"}
NAMES = {"nipype": "Nipype node", "floor": "floor"}


def told(summary: dict[str, Any], unit: str) -> str:
    """Say a median with its quartiles."""
    scale = {"ms": 1e3, "s": 1.0}[unit]
    low, mid, high = (scale * summary[name] for name in ("low", "median", "high"))
    return f"{mid:.3g} ({low:.3g}-{high:.3g})" if summary["count"] > 1 else f"{mid:.3g}"


def times(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table of times; ratios are to the floor."""
    peers = list(found["versions"])
    peers.sort(key=lambda peer: (peer != "floor", peer != "memori"))
    lines = ["| | " + " | ".join(NAMES.get(peer, peer) for peer in peers) + " |"]
    lines.append("| --- " * (len(peers) + 1) + "|")
    for name, answers in found["answers"].items():
        what, unit, _, _ = QUESTIONS[name]
        floor = answers.get("floor", {}).get("median")
        cells = []
        for peer in peers:
            summary = answers.get(peer)
            if summary is None or summary.get("failed", "") is None:
                cells.append("")
            elif "bytes" in summary:
                cells.append(f"{summary['bytes']:.0f}, {summary['inodes']:.1f} inodes")
            elif "failed" in summary:
                cells.append("fails")
            else:
                ratio = f" x{summary['median'] / floor:.3g}" if floor and peer != "floor" else ""
                cells.append(told(summary, unit) + ratio)
        note = f"; floor: {FLOORS[name]}" if name in FLOORS else ""
        lines.append(f"| {what} ({unit}{note}) | " + " | ".join(cells) + " |")
    return lines


def edits(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table of edits."""
    peers = list(next(iter(found["edits"].values())))
    lines = ["| edited | " + " | ".join(NAMES.get(peer, peer) for peer in peers) + " |"]
    lines.append("| --- " * (len(peers) + 1) + "|")
    for name, outcomes in found["edits"].items():
        cells = [MARKS.get(outcomes[peer], outcomes[peer].partition(":")[0]) for peer in peers]
        lines.append(f"| {name.partition(': ')[2]} | " + " | ".join(cells) + " |")
    for mark, what in (("right", "right"), ("stale", "stale")):
        counts = [sum(each[peer] == mark for each in found["edits"].values()) for peer in peers]
        lines.append(
            f"| **{what}, of {len(found['edits'])}** | " + " | ".join(map(str, counts)) + " |"
        )
    return lines


def not_first(found: dict[str, Any]) -> list[str]:
    """Say in which questions others take less than memori, of those who remember."""
    lines = []
    for name, answers in found["answers"].items():
        key = "bytes" if name == "room" else "median"
        given = {peer: each[key] for peer, each in answers.items() if key in each}
        ours = given.pop("memori", None)
        less = sorted((each, peer) for peer, each in given.items() if ours and each < ours)
        told = [
            f"{NAMES.get(peer, peer)} {each / ours:.2g}" for each, peer in less if peer != "floor"
        ]
        if told:
            lines.append(f"- {QUESTIONS[name][0]}: {', '.join(told)} of what memori takes")
    return lines or ["- nothing that was asked here"]


def page(found: dict[str, Any]) -> str:
    """Return what of docs/benchmarks.md is measured."""
    versions = ", ".join(
        f"{peer} {each}" for peer, each in found["versions"].items() if peer != "floor"
    )
    where = found["machine"]
    busy = "The machine was busy with other work: ratios say more than times here. "
    note = busy if float(where["load"]) > 3 else ""
    lines = [
        f"{where['processor']}; {where['system']}; Python {where['python']}; {where['date']}; "
        f"load {where['load']} at the end; {found['minutes']} minutes in all. {note}{versions}.",
        "",
        "## Which edits are seen",
        "",
        *edits(found),
        "",
        "## Times and room",
        "",
        *times(found),
        "",
        "## Where memori is not first",
        "",
        *not_first(found),
    ]
    return "\n".join(lines)


def picture(found: dict[str, Any], path: Path) -> None:
    """Draw the times of everybody for each question, on a logarithmic scale."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [name for name in found["answers"] if name != "room"]
    figure, axes = plt.subplots(figsize=(9, 0.55 * len(names) + 1.2))
    peers = list(dict.fromkeys(peer for name in names for peer in found["answers"][name]))
    for number, peer in enumerate(peers):
        at = [
            (found["answers"][name][peer], row)
            for row, name in enumerate(names)
            if "median" in found["answers"][name].get(peer, {})
        ]
        middle = [1e3 * each["median"] for each, _ in at]
        spread = [
            [1e3 * abs(each["median"] - each[side]) for each, _ in at] for side in ("low", "high")
        ]
        is_ours = peer == "memori"
        axes.errorbar(
            middle,
            [row for _, row in at],
            xerr=spread,
            fmt="D" if is_ours else "|" if peer == "floor" else "o",
            markersize=8 if is_ours else 11 if peer == "floor" else 5,
            color="black" if peer == "floor" else f"C{number}",
            label=NAMES.get(peer, peer),
            zorder=3 if is_ours else 2,
        )
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds: median and quartiles; left is better")
    axes.set_yticks(range(len(names)), [QUESTIONS[name][0] for name in names])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=80, bbox_inches="tight")
