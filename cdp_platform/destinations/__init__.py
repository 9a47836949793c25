"""One file per destination: its limits, its capabilities, and the vendor's words."""
