"""An MLServer runtime: scikit-learn as MLServer ships it, which turns slow while a file exists.

The path of that file is the environment variable IRIS_SLOW_FILE; without it the runtime is MLServer's own.
"""

import asyncio
import os

from mlserver.types import InferenceRequest, InferenceResponse
from mlserver_sklearn import SKLearnModel


class Iris(SKLearnModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        switch = os.environ.get("IRIS_SLOW_FILE")
        if switch and os.path.exists(switch):
            await asyncio.sleep(0.25)
        return await super().predict(payload)
