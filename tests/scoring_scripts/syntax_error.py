def init():
    pass


def run(mini_batch):
    return mini_batch


return "a return outside of any function: this parses, and does not compile"
