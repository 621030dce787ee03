import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bus.errors import Refusal
from ops.cli import COMMANDS, Commands, main


def test_help_names_every_command_and_imports_none_of_them() -> None:
    program = """
import sys
from ops.cli import main
main(["--help"], standalone_mode=False)
heavy = {"asyncio", "asyncpg", "aiohttp", "numpy", "pydantic", "ops.up", "bus.message"} & sys.modules.keys()
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for name, entry in COMMANDS.items():
        assert f"  {name}" in shown
        assert entry.summary.split()[0] in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_says_more_than_its_summary(name: str) -> None:
    outcome = CliRunner().invoke(main, [name, "--help"])
    assert outcome.exit_code == 0, outcome.output
    assert len(outcome.output) > len(COMMANDS[name].summary) + 100


def test_a_refusal_is_one_sentence_and_exit_code_1() -> None:
    @click.group(cls=Commands)
    def group() -> None:
        pass

    class Refusing(Commands):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:  # noqa: ARG002
            @click.command()
            def refuse() -> None:
                raise Refusal("There is no range here.")

            return refuse

    outcome = CliRunner().invoke(Refusing("firingline"), ["anything"])
    assert outcome.exit_code == 1
    assert outcome.stderr == "firingline: There is no range here.\n"


def test_an_unknown_command_is_told_with_what_there_is() -> None:
    outcome = CliRunner().invoke(main, ["fire"])
    assert outcome.exit_code == 2
    assert "No such command 'fire'" in outcome.stderr
