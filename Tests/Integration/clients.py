"""Requests and small clients that the tests share."""

INFER = "/v2/models/iris/infer"
REQUEST = {
    "id": "r-1",
    "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}],
}
