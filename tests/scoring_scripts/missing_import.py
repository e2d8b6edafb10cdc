import a_package_that_is_not_installed


def init():
    pass


def run(mini_batch):
    return a_package_that_is_not_installed.score(mini_batch)
