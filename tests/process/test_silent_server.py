"""A server that takes requests and never answers."""

import socket

import httpx
import pytest

from batchpoint.client.requests import Requests
from batchpoint.errors import ServerUnreachable


def test_a_server_that_says_nothing_is_asked_once_and_doctor_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0)
        requests = Requests(httpx.Client(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2))
        with pytest.raises(ServerUnreachable, match=r"said nothing for 0.2 s.*'batchpoint doctor'"):
            requests.json("GET", "/anything")
        requests.close()
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
