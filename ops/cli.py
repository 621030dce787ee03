"""The console script: one table of subcommands, each imported only when it is run."""

from importlib import import_module
from typing import Final, NamedTuple

import click

from bus.errors import Refusal


class Entry(NamedTuple):
    """Where a subcommand lives, and what it does in one line."""

    place: str
    summary: str


COMMANDS: Final = {
    "up": Entry("ops.up:up", "Start everything: PostgreSQL, the gateway and the five workers."),
    "gateway": Entry("ops.gateway:gateway", "Run the gateway: HTTP and targets in, the log out."),
    "worker": Entry("ops.worker:worker", "Run services by name: auth, booking, armory, payment, stats."),
    "migrate": Entry("ops.migrate:migrate", "Bring the database to this version's schema."),
    "health": Entry("ops.health:health", "Say whether the gateway or a service is at work."),
    "trace": Entry("ops.trace:trace", "Print one story: what led to what, and how long each step took."),
    "verify": Entry("ops.verify:verify", "Prove from the log that every service did every message once."),
    "deadletters": Entry("ops.deadletters:deadletters", "Look at what could not be handled, try it again or give up."),
    "pause": Entry("ops.pauses:pause", "Pause a service, one of its handlers, or a stream, until it is resumed."),
    "resume": Entry("ops.pauses:resume", "End a pause; what waited goes on, each stream in order."),
    "pauses": Entry("ops.pauses:list_pauses", "List what is paused, and which circuits are open."),
    "retention": Entry("ops.retention:retention", "Say how long the log is kept, and what dropping would lose."),
    "simulate": Entry("simulation.range_day:simulate", "Play a whole range day and check that all is right."),
    "target": Entry("simulation.target:target", "Play a shot file as a real electronic target would."),
    "replay": Entry("ops.analyst:replay", "Print what happened, as one JSON object a line."),
    "custody": Entry("ops.custody:custody", "Check the custody book, or export it: verify, export."),
    "state": Entry("ops.state:state", "Print services' tables as they were at a moment."),
    "rebuild": Entry("ops.analyst:rebuild", "Replay the log into a service's tables, beside or in place."),
    "keys": Entry("ops.keys:keys", "List or change the keys with which auth signs tokens."),
    "erasures": Entry("ops.erasures:erasures", "Print the records of erasures, as one JSON object a line."),
    "messages": Entry("ops.messages.command:messages", "Tell every message, or write the files that do."),
    "bench": Entry("bench.run:bench", "Measure, each number beside its limit."),
}


class Commands(click.Group):
    """A group that knows its commands by the table and says refusals as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.place.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Refusal as refusal:
            click.echo(f"firingline: {refusal}", err=True)
            ctx.exit(1)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Run a shooting range: bookings, licences, weapons, invoices, shots and scores, over one log.

    `firingline up` starts everything on this machine. Settings are environment variables, described in
    docs/settings.md; `firingline COMMAND --help` tells more of each command.
    """


if __name__ == "__main__":
    main(prog_name="firingline")
