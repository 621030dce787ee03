"""How long it takes from a wish to what came of it: `python examples/how_long_stories_take.py LOG`.

LOG is what `firingline replay --format parquet --output LOG` wrote. Needs pyarrow, which Firingline brings.
"""

# %% When each command was asked, and when an event concluded it
import sys
from collections import defaultdict
from pathlib import Path
from statistics import quantiles

import pyarrow.dataset

log = pyarrow.dataset.dataset(Path(sys.argv[1]), format="parquet", partitioning="hive", exclude_invalid_files=True)
rows = log.to_table(columns=["id", "name", "concludes", "at"]).to_pylist()
asked = {row["id"]: row for row in rows}

# %% The time between them, by the kind of command
taken: defaultdict[str, list[float]] = defaultdict(list)
for row in rows:
    if row["concludes"] in asked:
        wish = asked[row["concludes"]]
        taken[wish["name"]].append((row["at"] - wish["at"]).total_seconds())

print(f"{len(rows)} messages, {sum(map(len, taken.values()))} commands answered")
for name, seconds in sorted(taken.items()):
    middle, late = (quantiles(seconds, n=100)[i] for i in (49, 98)) if len(seconds) > 1 else seconds * 2
    print(f"{name:35}  n = {len(seconds):6}  half within {middle:8.3f} s, 99 in 100 within {late:8.3f} s")
