"""A Triton server with one model that doubles its input, by NVIDIA's PyTriton.

usage: triton_iris.py HTTP_PORT GRPC_PORT METRICS_PORT
"""

import sys

import numpy
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


@batch
def double(x):
    return {"y": x * 2}


http, grpc, metrics = map(int, sys.argv[1:4])
config = TritonConfig(http_address="127.0.0.1", http_port=http, grpc_port=grpc, metrics_port=metrics)
with Triton(config=config) as triton:
    triton.bind(
        model_name="double",
        infer_func=double,
        inputs=[Tensor(name="x", dtype=numpy.float32, shape=(-1,))],
        outputs=[Tensor(name="y", dtype=numpy.float32, shape=(-1,))],
        config=ModelConfig(max_batch_size=64),
    )
    triton.serve()
