"""Weir in front of Triton, by Triton's own client with binary tensors. Not part of Tests/run, because the
install is large; in a virtual environment of its own:

    pip install 'nvidia-pytriton==0.7.0' 'tritonclient[http]' pytest requests
    WEIR_BINARY=.build/release/weir python -m pytest Tests/Integration/triton_check.py
"""

import os
import socket
import sys
import sysconfig

import numpy
import pytest
import tritonclient.http

from processes import SERVERS, Process, answers, free_port
from weir import endpoint


@pytest.fixture(scope="module")
def triton(tmp_path_factory):
    """The HTTP port of a Triton."""
    ports = [free_port() for _ in range(3)]
    log = tmp_path_factory.mktemp("triton") / "log"
    libraries = os.environ.get("LD_LIBRARY_PATH", "") + ":" + sysconfig.get_config_var("LIBDIR")
    process = Process(
        [sys.executable, SERVERS / "triton_iris.py", *ports],
        log,
        cwd=log.parent,
        env={"LD_LIBRARY_PATH": libraries},
    )
    try:
        url = f"http://127.0.0.1:{ports[0]}/v2/models/double/ready"
        process.wait_ready(lambda: answers(url), "Triton", 90)
        yield ports[0]
    finally:
        process.stop()


@pytest.fixture
def proxy(triton, weir):
    return weir(
        [
            {
                "name": "double",
                "match": {"path_prefix": "/v2"},
                "versions": {"v1": {"endpoints": [endpoint(triton)]}},
                "stable": "v1",
            }
        ]
    )


def infer(client, values, binary: bool):
    x = tritonclient.http.InferInput("x", values.shape, "FP32")
    x.set_data_from_numpy(values, binary_data=binary)
    y = tritonclient.http.InferRequestedOutput("y", binary_data=binary)
    return client.infer("double", [x], outputs=[y]).as_numpy("y")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("count", [1, 1000, 500_000])
def test_tensors_pass_unchanged(proxy, binary, count):
    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{proxy.port}", connection_timeout=60)
    values = numpy.random.default_rng(1).standard_normal((1, count)).astype(numpy.float32)
    for _ in range(3):
        assert numpy.allclose(infer(client, values, binary), values * 2)


def test_the_models_name_survives_a_request_line_that_comes_byte_by_byte(proxy):
    """Triton misreads a request line that is split over segments; Weir's leaves in one write."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /v2/models/double/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
            s.sendall(bytes([byte]))
        got = b""
        while piece := s.recv(65536):
            got += piece
    assert got.startswith(b"HTTP/1.1 200 "), got
