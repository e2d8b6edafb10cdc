import os


def init():
    pass


def run(mini_batch):
    return [os.path.basename(path) + " seen" for path in mini_batch]
