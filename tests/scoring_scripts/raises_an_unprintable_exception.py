import sin


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even this")

    __repr__ = __str__


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        raise Unprintable()
    return sin.good(mini_batch)
