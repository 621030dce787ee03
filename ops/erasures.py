"""The records of erasures, for whoever has to show that personal data was destroyed, when and how."""

import json

import click

from handlers.auth.erasure_list import ErasureList
from ops.settings import Settings
from ops.worker import ERASURES


@click.command
def erasures() -> None:
    """Print the record of every erasure, as one JSON object a line, the oldest first.

    Each names the opaque id, at whose wish and when it was erased and by when it had to be, what was destroyed and how,
    and until when the record is to be kept. Who it was is told nowhere any more.
    """
    for record in ErasureList(Settings.from_environment().home / ERASURES).records():
        click.echo(json.dumps(record))
