"""A LitServe server that streams: one token every 50 ms, as many as the request asks for.

usage: lit_stream.py PORT
"""

import sys
import time

import litserve


class Words(litserve.LitAPI):
    def setup(self, device):
        self.words = ["the", "flow", "over", "a", "weir"]

    def decode_request(self, request):
        return int(request["tokens"])

    def predict(self, count):
        for i in range(count):
            time.sleep(0.05)
            yield self.words[i % len(self.words)]

    def encode_response(self, output):
        for word in output:
            yield word + "\n"


if __name__ == "__main__":
    server = litserve.LitServer(Words(stream=True), accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", num_api_servers=1, log_level="warning")
