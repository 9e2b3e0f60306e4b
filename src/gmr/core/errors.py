"""Errors that a user can act on: one line, naming the file, line, id or argument and the value at fault."""


class GmrError(Exception):
    """Bad data, configuration or model: the command line prints the message and exits with ``exit_code``."""

    exit_code = 65


class DataError(GmrError):
    """A file, record, picture, run or judgment that cannot be used."""


class ConfigError(GmrError):
    """A recipe or configuration that cannot be used."""


class ModelError(GmrError):
    """A model folder that cannot be loaded, or a model that returned what no score can be made of."""


class NotFiniteError(ModelError):
    """A loss, gradient, weight or score that is not finite: of training it is an outcome as much as a fault."""


class UsageError(GmrError):
    """An argument on the command line that cannot be used."""

    exit_code = 2
