"""What others may read of the armory."""
