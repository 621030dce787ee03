"""Whose a shot is, what it scored, what a session's shots add up to, and when that is told; pure."""
