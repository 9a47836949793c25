"""The open composable customer data platform on Dagster: one lineage graph from source to CRM and back."""
