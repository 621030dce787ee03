"""What others may read of stats: results, shots, what a group says, and how a shooter comes on."""
