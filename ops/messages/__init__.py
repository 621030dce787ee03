"""What the messages look like: pinned against breaking, and described for people and machines."""
