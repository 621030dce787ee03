"""What PostgreSQL's own words mean for the person who started it, in one sentence."""

import re
from pathlib import Path
from typing import Final

PORT_TAKEN: Final = "is in use by another program"
SENTENCES: Final = (
    (
        r"No space left on device|Disk quota exceeded",
        "The disk that holds {data} is full: free some space and start again.",
    ),
    (
        r"Read-only file system",
        "{data} lies on a disk that cannot be written to: set FIRINGLINE_HOME to another folder.",
    ),
    (r"Address already in use", f"Port {{port}} {PORT_TAKEN}: end it, or name another port."),
    (
        r'lock file "postmaster.pid" already exists|pre-existing shared memory block',
        "Another PostgreSQL is using {data}: end it, or set FIRINGLINE_HOME to another folder.",
    ),
    (
        r"database files are incompatible|not a valid data directory|is not a database cluster directory",
        "{data} holds data of another PostgreSQL: move it away, or set FIRINGLINE_HOME to another folder.",
    ),
    (
        r"Permission denied|has wrong ownership",
        "PostgreSQL, running as {user}, may not read or write {data}.",
    ),
    (
        r"Cannot allocate memory|could not map anonymous shared memory",
        "There is too little free memory for PostgreSQL.",
    ),
)


def sentence(words: str, *, data: Path, port: int, user: str, log: Path) -> str:
    """Return one sentence for what PostgreSQL said before it gave up."""
    for pattern, meaning in SENTENCES:
        if re.search(pattern, words):
            return meaning.format(data=data, port=port, user=user)
    said = re.findall(r"(?:FATAL|PANIC|ERROR|error): +(.+)", words) or words.strip().splitlines()
    return f"PostgreSQL did not start: {said[-1] if said else 'it said nothing'} (see {log})."
