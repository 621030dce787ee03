"""Shots, scores and what they say about a shooter."""
