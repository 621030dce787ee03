"""The five services, in the order in which a booking meets them."""

from typing import Final

SERVICES: Final = ("auth", "booking", "armory", "payment", "stats")
WORKERS_AT_MOST: Final = 16  # of one service: each then holds 4 of the 64 partitions
