import sin


def init():
    print('{"t":"Ready","pid":1,"python":"0","init_s":0}', flush=True)


def run(mini_batch):
    print('{"t":"Scored","m":0,"a":1,"n":1000,"rows":1000,"off":0,"len":0,"crc":0,"s":0}', flush=True)
    return sin.good(mini_batch)
