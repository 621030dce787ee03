"""The five services, in the order in which a booking meets them."""

from typing import Final

SERVICES: Final = ("auth", "booking", "armory", "payment", "stats")
