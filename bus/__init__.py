"""Carries messages from those who append them to those who hear them, through one log; knows no service."""
