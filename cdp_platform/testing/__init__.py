"""For authors of connectors: fakes, a server of faults, and the contract that every destination passes."""
