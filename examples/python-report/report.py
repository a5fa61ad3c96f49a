"""Which carriers were late, month by month: a table, a picture, and a small result.

Reads /in/flights.csv.gz, writes /out/delays.csv and /out/delays.png, and returns
the year's figures in /out/result.json.
"""

import json
import os
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

MOST = int(sys.argv[1]) if len(sys.argv) > 1 else 5
IN = os.environ.get("STINT_IN", "data")
OUT = os.environ.get("STINT_OUT", ".")

flights = pd.read_csv(f"{IN}/flights.csv.gz", usecols=["month", "carrier", "dep_delay"])
flown = flights.dropna(subset=["dep_delay"])

table = flown.pivot_table(index="month", columns="carrier", values="dep_delay", aggfunc="mean")
table.round(2).to_csv(f"{OUT}/delays.csv")

busiest = flown["carrier"].value_counts().head(MOST).index
axes = table[busiest].plot(figsize=(7, 4), ylabel="mean departure delay, minutes")
axes.figure.savefig(f"{OUT}/delays.png", dpi=100)
plt.close(axes.figure)

year = flown.groupby("carrier")["dep_delay"].agg(["size", "mean"]).sort_values("mean")
result = {
    "flights": len(flights),
    "flown": len(flown),
    "latest": year.index[-1],
    "mean_delay": {carrier: round(row["mean"], 2) for carrier, row in year.iterrows()},
}
with open(f"{OUT}/result.json", "w") as file:
    json.dump(result, file)

print(year.tail(MOST).round(2).to_string())
