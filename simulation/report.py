"""What happened on a range day, and whether the promises held: as a table for people, as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from bus.connection import close, connect
from simulation.history import History, Refused
from simulation.invariants.evidence import Finding


@dataclass(frozen=True, slots=True)
class Report:
    """A day in numbers. Money is in the minor unit."""

    seed: int
    lanes: int
    shooters: int
    played_s: float
    happened: dict[str, int]
    commands: dict[str, int]
    refused: dict[str, int]
    shots: dict[str, int]
    money_minor: dict[str, int]
    messages: dict[str, int]
    booking_p50_ms: float | None
    booking_p99_ms: float | None
    troubles: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not self.troubles and all(finding.ok for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in self.__slots__ if name != "findings"},
            "ok": self.ok,
            "invariants": [{**asdict(finding), "ok": finding.ok} for finding in self.findings],
        }


def counted(history: History) -> dict[str, dict[str, int]]:
    """The clients' own numbers, by heading."""
    ends = Counter("rejected" if isinstance(end, Refused) else end for end in history.ends.values())
    return {
        "happened": {
            what: history.happened[what]
            for what in ("wishes", "confirmed", "raced", "cancelled", "no-shows", "sessions", "connections lost")
        },
        "commands": {
            "accepted": len(history.commands),
            **{status: ends[status] for status in ("done", "rejected", "failed")},
            "sent twice": history.repeats,
            "keys misused": history.conflicts,
        },
        "refused": {
            f"{refused.what}: {refused.refused_by}, {refused.rule}": times
            for refused, times in sorted(history.refusals.items())
        },
    }


async def read_kept(admin_url: str, history: History) -> dict[str, dict[str, int]]:
    """The database's own numbers, by heading."""
    connection = await connect(admin_url, "firingline-simulation")
    try:
        money = await connection.fetchrow(
            """
            SELECT (SELECT coalesce(sum(total_minor), 0) FROM payment.invoice)::bigint AS invoiced,
                   (SELECT coalesce(sum(amount_minor), 0) FROM payment.payment)::bigint AS paid,
                   (SELECT coalesce(sum(total_minor), 0) FROM payment.credit_note)::bigint AS credited,
                   (SELECT coalesce(sum(amount_minor), 0) FROM payment.refund)::bigint AS refunded,
                   (SELECT coalesce(sum(total_minor - paid_minor), 0) FROM payment.balance WHERE NOT credited)::bigint
                       AS open
            """
        )
        topics = await connection.fetch("SELECT topic::text, count(*) AS messages FROM bus.outbox GROUP BY topic")
    finally:
        await close(connection)
    assert money is not None
    messages = {"domain": 0, "telemetry": 0} | {row["topic"]: row["messages"] for row in topics}
    return {
        "money_minor": dict(money),
        "messages": messages,
        "shots": {
            "fired": len(history.shots),
            "told, by any way": history.frames,
            "recorded": messages["telemetry"],
            "repeated": history.frames - messages["telemetry"],
        },
    }


def show(report: Report, console: Console) -> None:
    """Prints the tables, in colours where there is a terminal."""
    console.print(Group(_happened(report), _promises(report.findings)))
    for trouble in report.troubles:
        console.print(Text(f"Not played to its end: {trouble}", style="bold red"))


def _happened(report: Report) -> Table:
    table = Table(
        title=f"A day of {report.shooters} shooters on {report.lanes} lanes, seed {report.seed}, "
        f"played in {report.played_s:.0f} s",
        title_justify="left",
        show_header=False,
    )
    for heading, numbers in (
        ("bookings", report.happened),
        ("refused", report.refused),
        ("commands", report.commands),
        ("shots", report.shots),
        ("money", {what: f"{minor / 100:.2f} EUR" for what, minor in report.money_minor.items()}),
        ("messages", report.messages),
    ):
        table.add_section()
        for i, (what, number) in enumerate(numbers.items()):
            table.add_row(heading if i == 0 else "", what, str(number))
    if report.booking_p50_ms is not None and report.booking_p99_ms is not None:
        table.add_section()
        for i, (what, ms) in enumerate((("p50", report.booking_p50_ms), ("p99", report.booking_p99_ms))):
            table.add_row("wish to confirmation" if i == 0 else "", what, f"{ms:.0f} ms")
    for column in table.columns[2:]:
        column.justify = "right"
    return table


def _promises(findings: Sequence[Finding]) -> Table:
    table = Table("no.", "invariant", "", title="What must hold (RELIABILITY.md, section 3)", title_justify="left")
    for finding in findings:
        verdict = Text("OK", style="green") if finding.ok else Text("BROKEN", style="bold red")
        table.add_row(str(finding.number), "\n".join((finding.sentence, *finding.broken)), verdict)
    return table
