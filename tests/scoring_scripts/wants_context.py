import sin


def init():
    pass


def run(mini_batch, mini_batch_context):
    assert mini_batch_context.partition_key_value == {}
    return ["%s in mini-batch %d" % (line, mini_batch_context.minibatch_index) for line in sin.good(mini_batch)]
