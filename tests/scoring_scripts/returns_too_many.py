import sin


def init():
    pass


def run(mini_batch):
    return sin.good(mini_batch) * 3
