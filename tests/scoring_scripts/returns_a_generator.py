import sin


def init():
    pass


def run(mini_batch):
    lines = sin.good(mini_batch)
    return (line for line in lines) if sin.is_due(mini_batch) else lines
