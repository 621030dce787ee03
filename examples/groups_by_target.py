"""How each target's shots of each day group: `python examples/groups_by_target.py LOG`.

LOG is what `firingline replay --format parquet --output LOG` wrote. Needs pyarrow, which Firingline brings.
"""

# %% The shots of the log, with what their bodies say
import json
import sys
from collections import defaultdict
from math import fsum, hypot
from pathlib import Path

import pyarrow.dataset

log = pyarrow.dataset.dataset(Path(sys.argv[1]), format="parquet", partitioning="hive", exclude_invalid_files=True)
shots = log.to_table(
    columns=["day", "stream", "body"], filter=pyarrow.dataset.field("name") == "tracking.shot-recorded"
).to_pylist()

# %% Mean radius and centre, in millimetres
groups: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
for row in shots:
    shot = json.loads(row["body"])
    if shot["kind"] == "match" and not shot["miss"]:
        groups[str(row["day"]), row["stream"]].append((shot["x_um"] / 1000, shot["y_um"] / 1000))

print(f"{len(shots)} shots, {len(groups)} groups")
for (day, stream), places in sorted(groups.items()):
    x, y = (fsum(one) / len(places) for one in zip(*places, strict=True))
    radius = fsum(hypot(a - x, b - y) for a, b in places) / len(places)
    print(f"{day}  {stream:20}  n = {len(places):4}  centre {x:+7.2f} {y:+7.2f} mm  mean radius {radius:6.2f} mm")
