"""A small experiment with made-up numbers and real pictures, for tests of the pages."""

import math

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from gmr.core.items import Image, Item, Text
from gmr.core.nouns import TASK_TYPES, Document, Query, RankedDocument, Ranking
from gmr.metrics.statistics import Interval
from gmr.reports.experiment import ComparisonRow, Curve, ExampleRanking, ExperimentReport, ResultRow, System

SYSTEMS = (
    System("first stage", "Candidates as they come: same block, same words, near in pixels.", "baseline"),
    System("base", "Pre-trained to name characters, never trained to rank.", "baseline"),
    System("SFT", "Base, then supervised fine-tuning on yes/no.", "trained"),
    System("CL", "Base, then contrastive learning over each query's candidates.", "trained"),
    System("gmr-nano", "The model in the package, trained longer.", "shipped"),
)


def glyph(character: str, *, side: int = 32) -> Image:
    picture = PIL.Image.new("RGB", (side, side), "white")
    font = PIL.ImageFont.load_default(side * 0.75)
    PIL.ImageDraw.Draw(picture).text((side / 2, side / 2), character, "black", font=font, anchor="mm")
    return Image(picture)


def ranking(query: Query, items: dict[str, Item], order: str) -> Ranking:
    places = [
        RankedDocument(rank, doc_id, 4.0 - 1.3 * rank, Document(doc_id, items[doc_id]))
        for rank, doc_id in enumerate(order, start=1)
    ]
    return Ranking(query, tuple(places))


def rows() -> list[ResultRow]:
    generator = np.random.default_rng(0)
    made = []
    for task_type in TASK_TYPES:
        base = generator.uniform(0.25, 0.4)
        means = [base, base + 0.05, base + 0.42, base + 0.39, min(0.97, base + 0.55)]
        values = {
            system.name: Interval(mean, mean - 0.05, min(1, mean + 0.04))
            for system, mean in zip(SYSTEMS, means, strict=True)
        }
        made.append(ResultRow(task_type, 120, values, chance=0.17))
    return made


def overall(shown: list[ResultRow]) -> ResultRow:
    means = {system.name: np.mean([row.values[system.name].mean for row in shown]) for system in SYSTEMS}
    values = {
        name: Interval(float(mean), float(mean) - 0.02, float(mean) + 0.02) for name, mean in means.items()
    }
    return ResultRow("mean", 9 * 120, values, chance=0.17)


def curves() -> list[Curve]:
    generator = np.random.default_rng(1)
    steps = list(range(0, 301, 10))
    heights = {"sft_loss": 0.7, "contrastive_loss": 2.1, "weight_positive": 0.5, "weight_negative": 0.3}
    return [
        Curve(
            system,
            quantity,
            steps,
            [height * (0.25 + 0.75 * math.exp(-step / speed)) + generator.normal(0, 0.02) for step in steps],
            seed,
        )
        for system, speed in (("SFT", 70), ("CL", 90))
        for quantity, height in heights.items()
        for seed in (0, 1)
    ]


def examples() -> list[ExampleRanking]:
    words = (
        "capital a",
        "small a",
        "capital b with a dot below",
        "digit five",
        "ampersand",
        "section sign",
        "q",
        "sharp s",
    )
    letters = "ABCDEFGH"
    texts: dict[str, Item] = {
        letter: (Text(f"latin {word}".upper()),) for letter, word in zip(letters, words, strict=True)
    }
    pictures: dict[str, Item] = {letter: (glyph(letter),) for letter in letters}
    both: dict[str, Item] = {letter: (glyph(letter), Text("bold")) for letter in letters}
    queries = {
        "t2i": (
            Query("q1", (Text("LATIN CAPITAL LETTER C"),), "Find the picture of the named character."),
            pictures,
        ),
        "i2t": (Query("q2", (glyph("Q"),)), texts),
        "it2it": (Query("q3", (glyph("c"), Text("capital")), "Change the character as the text says."), both),
    }
    orders = ("BHGFEDAC", "ABCDEFGH", "CABDEFGH", "ACBDEFGH", "CGABDEFH")
    return [
        ExampleRanking(
            task_type,
            query,
            {
                system.name: ranking(query, items, order)
                for system, order in zip(SYSTEMS, orders, strict=True)
            },
            frozenset("C"),
            "median of the queries by the difference of SFT and CL",
        )
        for task_type, (query, items) in queries.items()
    ]


def sample_report() -> ExperimentReport:
    shown = rows()
    return ExperimentReport(
        title="One model, two objectives",
        subtitle="glyphs, test split · 2 seeds · made-up numbers of a test",
        summary=[
            "Both objectives lift the same base far above the first stage; neither is the clear winner here.",
            "Numbers are means over nine task types of 120 held-out queries each.",
        ],
        measure="nDCG@10",
        systems=SYSTEMS,
        rows=shown,
        overall=overall(shown),
        comparisons=[
            ComparisonRow("mean", "SFT", "first stage", Interval(0.42, 0.40, 0.44), 0.0001),
            ComparisonRow("mean", "CL", "first stage", Interval(0.39, 0.37, 0.41), 0.0001),
            ComparisonRow("mean", "SFT", "CL", Interval(0.012, -0.004, 0.028), 0.13),
            ComparisonRow("t2it", "SFT", "CL", Interval(-0.05, -0.08, -0.02), 0.012),
        ],
        curves=curves(),
        examples=examples(),
        environment={"gmr": "0.1.0", "torch": "2.13.0", "machine": "2 CPU cores", "seeds": "0, 1"},
        notes=[
            "A model of a few million parameters on pictures of characters says little about large models.",
            "Two seeds show that training noise is there, not how large it is.",
        ],
    )
