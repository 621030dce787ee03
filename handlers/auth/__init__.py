"""Identities, tokens, licences, and who may shoot what."""
