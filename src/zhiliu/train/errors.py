"""What can go wrong in training, said in one line."""


class TrainError(Exception):
    """Training cannot go on; the message says why and what to do."""


class UnknownNameError(TrainError):
    """No model, recipe or tracker is called so; the message lists those there are."""
