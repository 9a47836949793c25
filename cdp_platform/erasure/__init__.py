"""Erasure: whatever is kept of one person, found by an identifier and taken out everywhere, for good."""
