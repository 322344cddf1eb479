"""Trains the two versions of the iris model and writes them as MLServer model folders.

usage: train.py FOLDER     makes FOLDER/v1 and FOLDER/v2
"""

import json
import pathlib
import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier


def write(folder: pathlib.Path, version: str, model) -> None:
    folder.mkdir(parents=True)
    joblib.dump(model, folder / "model.joblib")
    settings = {
        "name": "iris",
        "implementation": "iris_runtime.Iris",
        "parameters": {"uri": "./model.joblib", "version": version},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))


def main(folder: pathlib.Path) -> None:
    x, y = load_iris(return_X_y=True)
    write(folder / "v1", "v1", LogisticRegression(max_iter=1000).fit(x, y))
    write(folder / "v2", "v2", DecisionTreeClassifier(max_depth=3, random_state=1).fit(x, y))


main(pathlib.Path(sys.argv[1]))
