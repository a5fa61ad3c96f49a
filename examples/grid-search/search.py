"""One point of a grid: how well a classifier with these parameters reads handwritten digits.

Task I of the job tries the I-th combination of GRID, by cross-validation on the 1,797 digits
that scikit-learn brings along, and returns its accuracy in /out/result.json.
"""

import itertools
import json
import os
import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

GRID = {"C": [1, 10], "gamma": [0.0005, 0.001, 0.005]}
FOLDS = 3
OUT = os.environ.get("STINT_OUT", ".")

combinations = list(itertools.product(*GRID.values()))
index = int(os.environ.get("STINT_TASK_INDEX", "0"))
if index >= len(combinations):
    sys.exit(f"the grid has {len(combinations)} combinations: run it with --tasks {len(combinations)}")
parameters = dict(zip(GRID, combinations[index]))

images, digits = load_digits(return_X_y=True)
scores = cross_val_score(SVC(**parameters), images, digits, cv=FOLDS)
result = parameters | {"accuracy": round(float(scores.mean()), 4), "worst_fold": round(float(scores.min()), 4)}
with open(f"{OUT}/result.json", "w") as file:
    json.dump(result, file)
print(result)
