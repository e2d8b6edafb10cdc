"""The answer of every stand-in to what it does not offer."""


class StandIn(type):
    """Type of the stand-ins: an unknown attribute says where it could come from."""

    def __getattr__(cls, name):
        raise AttributeError(missing(cls.__name__, name))


class Placeholder(metaclass=StandIn):
    """Accepts any arguments, remembers nothing that it is not asked for."""

    def __init__(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        raise AttributeError(missing(type(self).__name__, name))


def missing(owner, name):
    return (
        "azureml-core is not installed here, and Batchpoint's stand-in has no %s.%s; "
        "in a scoring script, models lie in AZUREML_MODEL_DIR and inputs come with run(mini_batch)" % (owner, name)
    )
