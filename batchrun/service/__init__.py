"""The service's API: one client, and one answer type for each thing the caller can do next."""
