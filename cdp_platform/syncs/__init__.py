"""The engine: spec, gate, plan, guards, send, journal, settle. It knows no vendor."""
