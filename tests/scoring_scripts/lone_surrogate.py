import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        return ["fine", "half \ud800 a pair"]
    return sin.good(mini_batch)
