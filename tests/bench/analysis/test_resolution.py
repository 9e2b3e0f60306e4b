"""What pixels are worth to a scorer is what the analysis finds."""

import io

import numpy as np
import PIL.Image
import pytest

from gmr.bench.analysis.options import Options
from gmr.bench.analysis.pictures import as_jpeg, blank, grey, resized, with_words
from gmr.bench.analysis.resolution import TREATMENTS, resolution_sensitivity, why_not
from gmr.core.images import MAX_PIXELS, MAX_RATIO
from gmr.core.items import Image
from tests.bench.analysis.fakes import Biased, make_task, picture


def large(task_type="t2i", **options):
    return make_task(task_type=task_type, document="i", **options)


def test_a_price_for_each_doubling_of_pixels_is_found():
    (table,) = resolution_sensitivity(Biased(log_pixels=0.5), [large()], Options(limit=None)).tables
    for label, doublings in (
        ("1/16 of the pixels", -4),
        ("4 times the pixels", 2),
        ("16 times the pixels", 4),
    ):
        for column in ("relevant", "irrelevant"):
            assert table.find(label, column).mean == pytest.approx(0.5 * doublings, abs=1e-4)
            assert table.find(label, column).is_shown
        # All candidates change alike, so that their order stays.
        assert table.find(label, "nDCG@10").mean == 0.0
    assert table.find("grey", "relevant").mean == 0.0


def test_a_scorer_that_sees_the_colour_of_the_middle_alone_shows_nothing_but_for_grey():
    (table,) = resolution_sensitivity(Biased(first_picture_red=0.05), [large()], Options(limit=None)).tables
    for label in TREATMENTS:
        size = table.find(label, "size, SDs").mean
        assert size > 0.5 if label == "grey" else size < 0.1


def test_pictures_of_the_query_are_treated_too():
    class QuerySize(Biased):
        def one(self, query, document):
            return float(np.log2(np.prod(query.item[0].size))) + super().one(query, document)

    task = make_task(task_type="i2t", query="i", document="t")
    (table,) = resolution_sensitivity(QuerySize(), [task], Options(limit=None)).tables
    assert table.find("4 times the pixels", "irrelevant").mean == pytest.approx(2.0, abs=1e-4)


def test_texts_alone_have_no_resolution():
    assert "picture" in why_not(make_task(), [])


@pytest.mark.parametrize(
    ("size", "factor"),
    [((1, 1), 1 / 16), ((1, 150), 1 / 16), ((3000, 20), 1 / 16), ((20, 3000), 16), ((4000, 4000), 16)],
)
def test_a_picture_stays_one_that_can_be_opened(size, factor):
    opened = resized(Image(PIL.Image.new("RGB", size)), factor=factor).open()
    assert opened.width * opened.height <= MAX_PIXELS
    assert max(opened.size) <= MAX_RATIO * min(opened.size)


def test_treatments_do_what_they_say():
    image = picture("any", size=(40, 20))
    assert resized(image, factor=4).size == (80, 40)
    assert as_jpeg(image, quality=10).source[:3] == b"\xff\xd8\xff"
    red, green, blue = grey(image).open().getpixel((0, 0))
    assert red == green == blue
    assert blank(image).open().getcolors() == [(800, (255, 255, 255))]
    assert PIL.Image.open(io.BytesIO(grey(image).source)).format == "PNG"


def test_words_stand_in_black_on_a_band_under_the_picture():
    image = Image(PIL.Image.new("RGB", (300, 200), "red"))
    opened = np.asarray(with_words(image, "answer yes").open())
    assert opened.shape[1] == 300
    assert opened.shape[0] > 200
    assert (opened[:200] == [255, 0, 0]).all()
    band = opened[200:]
    assert (band == 0).all(axis=-1).sum() > 50
    assert (band == 255).all(axis=-1).mean() > 0.4
    # The control is of the same size and place, and other words are other pixels.
    assert not np.array_equal(band, np.asarray(with_words(image, "end of page").open())[200:][: len(band)])


def test_small_pictures_are_enlarged_until_words_can_be_read():
    assert with_words(picture("small"), "yes").size[0] == 224
    with_words(picture("small"), "a very long query " * 20).open()
