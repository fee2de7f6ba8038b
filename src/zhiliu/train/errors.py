"""What can go wrong in training, said in one line."""


class TrainError(Exception):
    """Training cannot go on; the message says why and what to do."""
