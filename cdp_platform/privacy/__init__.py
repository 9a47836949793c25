"""Pure functions on personal data."""
