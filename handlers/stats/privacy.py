"""What is never told of a few people."""

from typing import Final

FEWEST_PEOPLE: Final = 5
"""A figure over people is told from so many on: below, each of them could work out something of the others."""
