"""The workloads of a device: one query and its candidates, or pages that several queries meet, and training groups."""

from dataclasses import replace

from benchmarks.workloads import KEPT, PAGE, Workload

NUM_DOCUMENTS = 100
PHOTO, LARGE = (16, 16), (20, 32)  # 256 and 640 tokens

INFERENCE = (
    Workload("T->T 150", NUM_DOCUMENTS, "t", "t", 150),
    Workload("T->I 256", NUM_DOCUMENTS, "t", "i", picture=PHOTO),
    Workload("T->I 640", NUM_DOCUMENTS, "t", "i", picture=LARGE),
    Workload("T->I 1280", NUM_DOCUMENTS, "t", "i", picture=PAGE),
    Workload("I->T 256", NUM_DOCUMENTS, "i", "t", 40, picture=PHOTO),
    Workload("I->T 1280", NUM_DOCUMENTS, "i", "t", 40, picture=PAGE),
    Workload("IT->IT 256+100", NUM_DOCUMENTS, "it", "it", 100, picture=PHOTO),
    Workload("pages", NUM_DOCUMENTS, "t", "i", picture=PAGE, template="monoqwen2-vl", bars={KEPT: 60.0}),
)
TRAINING = tuple(
    Workload(f"{name} 1+{size - 1}", size, query, document, words, picture=PHOTO)
    for name, query, document, words in (
        ("T->T", "t", "t", 150),
        ("I->T", "i", "t", 40),
        ("IT->IT", "it", "it", 100),
    )
    for size in (8, 16)
)


def toy(workload: Workload) -> Workload:
    """The same in small: four candidates, a tenth of the words, a quarter of each side of a picture."""
    width, height = workload.picture
    return replace(
        workload,
        num_documents=min(4, workload.num_documents),
        words=workload.words // 10,
        picture=(width // 4, height // 4),
    )
