"""Replaces what the worker stands on: json, os, zlib, time, sys.stdout, signal handlers, the locale."""

import json
import json.decoder
import json.encoder
import locale
import os
import signal
import sys
import time
import zlib

import sin


def lie(*args, **kwargs):
    raise RuntimeError("monkeypatched")


def init():
    for module, names in (
        (json, ("dumps", "loads", "JSONDecoder", "JSONEncoder")),
        (json.decoder, ("scanstring", "JSONDecoder")),
        (json.encoder, ("encode_basestring_ascii", "JSONEncoder", "c_make_encoder")),
        (os, ("write", "read", "pread", "fstat", "getpid", "_exit", "open", "close")),
        (zlib, ("crc32",)),
        (time, ("perf_counter", "monotonic", "sleep", "time")),
    ):
        for name in names:
            setattr(module, name, lie)
    locale.setlocale(locale.LC_ALL, "C")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout = sys.stderr = None


def run(mini_batch):
    if any("bad" in path for path in mini_batch):
        raise ValueError("after the patches")
    return sin.good(mini_batch)
