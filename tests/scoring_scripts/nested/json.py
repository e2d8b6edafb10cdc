"""A script that bears the name of a module everybody needs."""

import sin


def init():
    import json

    assert json.dumps({}) == "{}" or json.__file__ == __file__


def run(mini_batch):
    return [__name__ for _ in mini_batch]
