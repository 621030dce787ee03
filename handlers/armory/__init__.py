"""Weapons by type and unit, reservations, custody and ammunition."""
