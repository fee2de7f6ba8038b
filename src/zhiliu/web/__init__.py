"""Templates and the built front end."""
