"""What is measured: each figure in the same run as its baseline, and beside the least that is asked of it."""
