"""The HTTP server: a router file a resource, no business logic."""
