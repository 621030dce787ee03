"""What booking decides: pure functions of a state, a message and the time."""
