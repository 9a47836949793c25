"""Audiences: a definition that marketers write → one select → members, who entered, who left, and why."""
