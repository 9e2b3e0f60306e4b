"""M-BEIR's files, generated in its layout, and the first queries of three of its tasks as they are published."""

import shutil

import pytest

from gmr.core.errors import DataError
from gmr.core.items import modality
from gmr.core.mbeir import MODALITIES, mbeir_source
from gmr.core.task_source import assemble
from gmr.core.trec import read_qrels
from tests.conftest import shared_fixture
from tests.helpers.layouts import write_jsonl, write_mbeir
from tests.helpers.toy_sets import picture, toy_task

INSTRUCTIONS = (
    "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\n"
    "image,text\timage\tCIRR\t8\tFind it.\tLook for it.\n"
    "image\timage\tNIGHTS\t4\t\tSecond column.\n"
)
PUBLISHED = {"cirr_task7": "it", "nights_task4": "i", "mscoco_task3": "i"}


def cirr(**options):
    return toy_task("it2i", prefix="8:", ranked=False, **options)


def test_a_task_reads_back_with_the_first_instruction_for_its_modalities(tmp_path):
    write_mbeir(cirr(), tmp_path, config="cirr_task7", instructions=INSTRUCTIONS)
    tables = assemble(mbeir_source(tmp_path, config="cirr_task7"))
    assert tables.queries == cirr().queries
    assert tables.corpus == cirr().corpus
    assert tables.qrels == cirr().qrels


def test_a_given_instruction_stands_before_the_file_and_without_both_there_is_none(tmp_path):
    write_mbeir(cirr(), tmp_path, config="cirr_task7", instructions=INSTRUCTIONS)
    queries = assemble(mbeir_source(tmp_path, config="cirr_task7", instruction="Mine.")).queries
    assert {query.instruction for query in queries.values()} == {"Mine."}
    shutil.rmtree(tmp_path / "instructions")
    queries = assemble(mbeir_source(tmp_path, config="cirr_task7")).queries
    assert {query.instruction for query in queries.values()} == {None}


def test_a_first_paraphrase_that_is_empty_is_skipped(tmp_path):
    write_mbeir(
        toy_task("i2i", prefix="4:", ranked=False), tmp_path, config="nights_task4", instructions=INSTRUCTIONS
    )
    queries = assemble(mbeir_source(tmp_path, config="nights_task4")).queries
    assert {query.instruction for query in queries.values()} == {"Second column."}


def test_files_in_one_folder_read_as_in_the_published_tree(tmp_path):
    write_mbeir(cirr(), tmp_path / "tree", config="cirr_task7", instructions=INSTRUCTIONS)
    (tmp_path / "flat").mkdir()
    for path in (tmp_path / "tree").rglob("*"):
        if path.suffix in (".jsonl", ".txt", ".tsv"):
            shutil.copy(path, tmp_path / "flat" / path.name)
    shutil.copytree(tmp_path / "tree/mbeir_images", tmp_path / "flat/mbeir_images")
    tree, flat = (assemble(mbeir_source(tmp_path / name, config="cirr_task7")) for name in ("tree", "flat"))
    assert tree == flat


def test_without_a_file_of_judgments_the_positives_of_the_own_data_set_are_the_judgments(tmp_path):
    write_mbeir(cirr(), tmp_path, config="cirr_task7")
    shutil.rmtree(tmp_path / "qrels")
    path = tmp_path / "query/test/mbeir_cirr_task7_test.jsonl"
    path.write_text(
        path.read_text().replace('"pos_cand_list": ["8:d0"]', '"pos_cand_list": ["8:d0", "6:d5"]')
    )
    tables = assemble(mbeir_source(tmp_path, config="cirr_task7"))
    assert tables.qrels == {f"8:q{i}": {f"8:d{i}": 1} for i in range(4)}


@pytest.mark.parametrize("config", PUBLISHED)
def test_published_queries_are_read(tmp_path, config):
    """The pool and the pictures are made up here: the published ones are large."""
    sample = shared_fixture("mbeir") / f"{config}.sample.jsonl"
    qrels = read_qrels(shared_fixture("mbeir") / f"{config}.sample.qrels")
    for folder in ("query/test", "qrels/test"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(sample, tmp_path / f"query/test/mbeir_{config}_test.jsonl")
    lines = [f"{q} 0 {d} {grade} 7\n" for q, judged in qrels.items() for d, grade in judged.items()]
    (tmp_path / f"qrels/test/mbeir_{config}_test_qrels.txt").write_text("".join(lines))
    documents = sorted({doc_id for judged in qrels.values() for doc_id in judged})
    write_jsonl(
        tmp_path / f"cand_pool/local/mbeir_{config}_test_cand_pool.jsonl",
        (
            {"did": d, "txt": "a", "img_path": None, "modality": "text", "src_content": None}
            for d in documents
        ),
    )
    for path in set(_picture_paths(sample)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(picture(0))
    tables = assemble(mbeir_source(tmp_path, config=config, instruction="Find it."))
    assert tables.qrels == qrels
    assert len(tables.queries) == 40
    assert {modality(query.item) for query in tables.queries.values()} == {PUBLISHED[config]}
    # The positives that each query lists are what the published judgments say.
    (tmp_path / f"qrels/test/mbeir_{config}_test_qrels.txt").unlink()
    assert assemble(mbeir_source(tmp_path, config=config)).qrels == qrels


def _picture_paths(sample):
    import json

    return [json.loads(line)["query_img_path"] for line in sample.read_text().splitlines()]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mbeir_images/q8_q0.png", "../q8_q0.png", "leaves"),
        ("mbeir_images/q8_q0.png", "/etc/passwd", "is absolute"),
        ("mbeir_images/q8_q0.png", "mbeir_images/gone.png", "no such image file"),
        ('"qid": "8:q1"', '"qid": "8:q0"', "query id '8:q0' is given twice"),
        ('"qid": "8:q1"', '"id": "8:q1"', r"the row has no id \(qid\)"),
    ],
)
def test_a_query_at_fault_is_named_with_its_line(tmp_path, old, new, message):
    write_mbeir(cirr(), tmp_path, config="cirr_task7", instructions=INSTRUCTIONS)
    path = tmp_path / "query/test/mbeir_cirr_task7_test.jsonl"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=rf"_test\.jsonl:\d+.*{message}"):
        assemble(mbeir_source(tmp_path, config="cirr_task7"))


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    write_mbeir(cirr(), tmp_path / "set", config="cirr_task7")
    (tmp_path / "secret.png").write_bytes(picture(1))
    link = tmp_path / "set/mbeir_images/d8_d0.png"
    link.unlink()
    link.symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"cand_pool\.jsonl:1.* leaves"):
        assemble(mbeir_source(tmp_path / "set", config="cirr_task7"))


@pytest.mark.parametrize(
    "columns", ["8:q0 0 8:d0", "8:q0 0 8:d0 yes 7", "8:q0 0 8:d0 1 7 8", "8:q0 0 8:d0 +-1 7"]
)
def test_a_judgment_of_another_shape_is_named(tmp_path, columns):
    write_mbeir(cirr(), tmp_path, config="cirr_task7")
    (tmp_path / "qrels/test/mbeir_cirr_task7_test_qrels.txt").write_text(f"8:q0 0 8:d0 1 7\n{columns}\n")
    with pytest.raises(DataError, match=r"qrels\.txt:2: judgments are query, 0, document, relevance, task"):
        assemble(mbeir_source(tmp_path, config="cirr_task7"))


def test_a_task_without_an_instruction_in_the_file_is_named(tmp_path):
    text = INSTRUCTIONS.replace("CIRR\t8", "CIRR\t9")
    write_mbeir(cirr(), tmp_path, config="cirr_task7", instructions=text)
    with pytest.raises(DataError, match="no instruction for data set 8, image,text to image"):
        assemble(mbeir_source(tmp_path, config="cirr_task7"))


@pytest.mark.parametrize("config", ["cirr", "cirr_task5", "cirr_taskx", "_task7"])
def test_a_config_that_is_no_task_is_refused(tmp_path, config):
    with pytest.raises(DataError, match=f"config '{config}' names no task of M-BEIR"):
        mbeir_source(tmp_path, config=config)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no query/test/mbeir_cirr_task7_test\.jsonl"):
        assemble(mbeir_source(tmp_path, config="cirr_task7"))


def test_the_eight_tasks_have_different_modalities():
    assert len(set(MODALITIES.values())) == 8
