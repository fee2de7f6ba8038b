"""Point-in-time features; one definition for training and serving."""
