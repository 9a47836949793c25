"""Extract and load: what brings the sources into the warehouse's raw schemas, on dlt."""
