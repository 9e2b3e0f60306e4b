"""A plan is one page: what it says is what is run, and what it may not say is refused by name."""

from pathlib import Path

import pytest

from gmr.core.config import load_config, to_toml
from gmr.core.errors import ConfigError
from gmr.modeling.loading import load_model
from gmr.modeling.processor import PromptProcessor
from gmr.objectives import Objective
from gmr.probe.sweep.cells import cells_of, recipe_of
from gmr.probe.sweep.plan import Plan, load_plan, packaged_plans
from gmr.probe.sweep.runs import _folder_digest, reported_runs, tuning_runs
from gmr.train.arguments import training_arguments
from tests.probe.sweep.tiny import write_plan

SMALL = 'name = "p"\nquestion = "?"\n'


def plan_of(text: str, tmp_path: Path, **options: object) -> Plan:
    page = tmp_path / "p.toml"
    page.write_text(SMALL + text, encoding="utf-8")
    return load_plan(page, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("name", list(packaged_plans()))
def test_every_cell_of_a_packaged_plan_is_a_recipe_with_an_objective(
    name: str, quick: bool, tmp_path: Path
) -> None:
    plan = load_plan(name, quick=quick)
    assert plan.name == name
    assert plan.question.endswith("?")
    assert plan.contrasts
    assert load_config(to_toml(plan), Plan) == plan
    cells = cells_of(plan)
    for cell in cells.values():
        recipe = recipe_of(plan, cell, learning_rate=1e-3, seed=7)
        assert isinstance(recipe.objective.build(), Objective)
        assert training_arguments(recipe, tmp_path).seed == 7
        assert recipe.training["max_steps"] >= recipe.training["warmup_steps"]
    compared = {contrast.a for contrast in plan.contrasts} | {contrast.b for contrast in plan.contrasts}
    assert compared == set(cells), "a cell that no contrast looks at is run for nothing"


def test_the_answer_words_of_the_plan_are_single_tokens_of_the_small_model() -> None:
    plan = load_plan("paper-answers")
    base = load_model("gmr-nano-base", self_check=False)
    for cell in cells_of(plan).values():
        recipe = recipe_of(plan, cell, learning_rate=None, seed=0)
        positive = recipe.model.positive_answers or ("yes",)
        negative = recipe.model.negative_answers or ("no",)
        template = base.processor.template
        changed = type(template)(
            **{**vars(template), "positive": tuple(positive), "negative": tuple(negative)}
        )
        processor = PromptProcessor(base.processor.tokenizer, base.processor.image_processor, changed)
        assert len(processor.answer_ids.positive) == recipe.objective.num_positive
        assert len(positive) + len(negative) == int(cell.name.split()[0])


def test_the_combinations_of_the_paper_differ_in_weight_and_direction_alone() -> None:
    plan = load_plan("paper-combinations")
    objectives = {
        name: recipe_of(plan, cell, learning_rate=None, seed=0).objective.build().name
        for name, cell in cells_of(plan).items()
    }
    assert objectives == {name: name for name in objectives}
    assert len(objectives) == 4


def test_a_grid_is_every_combination_on_top_of_every_cell(tmp_path: Path) -> None:
    plan = plan_of(
        '[cells.a]\nset.objective.weight = "focal"\n[cells.b]\n'
        "[grid]\ndata.num_negatives = [1, 3]\nlora.r = [4]\n",
        tmp_path,
    )
    cells = cells_of(plan)
    assert list(cells) == [f"{cell}/num_negatives={number}, r=4" for cell in "ab" for number in (1, 3)]
    recipe = recipe_of(plan, cells["a/num_negatives=3, r=4"], learning_rate=0.5, seed=3)
    assert (recipe.objective.weight, recipe.data.num_negatives, recipe.lora.r) == ("focal", 3, 4)
    assert (recipe.training["learning_rate"], recipe.training["seed"]) == (0.5, 3)


def test_a_grid_alone_has_cells(tmp_path: Path) -> None:
    plan = plan_of('[grid]\nobjective.weight = ["sft", "focal"]\n', tmp_path)
    assert list(cells_of(plan)) == ["weight=sft", "weight=focal"]


def test_a_quick_look_takes_the_smaller_values_and_overrides_come_last(tmp_path: Path) -> None:
    text = (
        "seeds = [0, 1]\n[common]\ntraining.max_steps = 100\n[cells.a]\n"
        "[quick]\nseeds = [5]\ncommon.training.max_steps = 3\n"
    )
    assert plan_of(text, tmp_path).seeds == (0, 1)
    quick = plan_of(text, tmp_path, quick=True)
    assert (quick.seeds, quick.common) == ((5,), {"training": {"max_steps": 3}})
    assert plan_of(text, tmp_path, quick=True, overrides=["seeds=[8]"]).seeds == (8,)


def test_a_random_direction_is_another_for_every_seed(tmp_path: Path) -> None:
    plan = plan_of('[cells.a]\nset.head.kind = "random_projection"\n', tmp_path)
    (cell,) = cells_of(plan).values()
    seeds = {
        recipe.head.seed
        for recipe in (recipe_of(plan, cell, learning_rate=None, seed=seed) for seed in (1, 2))
        if recipe.head is not None
    }
    assert seeds == {1, 2}


def test_a_run_is_named_after_what_it_depends_on(tmp_path: Path) -> None:
    plan = plan_of("[cells.a]\n[tuning]\nlearning_rates = [1e-3, 2e-3]\n", tmp_path)
    (cell,) = cells_of(plan).values()
    names = {spec.name for spec in tuning_runs(plan)}
    assert len(names) == 2
    first, second, third = reported_runs(plan, cell, learning_rate=1e-3)
    assert first.name.startswith("a.lr0.001.seed0.test.")
    assert len({first.key, second.key, third.key}) == 3
    longer = plan_of("[cells.a]\n[common]\ntraining.max_steps = 9\n", tmp_path)
    assert reported_runs(longer, cells_of(longer)["a"], learning_rate=1e-3)[0].key != first.key
    quieter = plan_of("[cells.a]\n[common]\ntraining.logging_steps = 9\n", tmp_path)
    assert reported_runs(quieter, cells_of(quieter)["a"], learning_rate=1e-3)[0].key == first.key


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[cels.a]\n", "unknown key 'cels'; did you mean 'cells'"),
        ("", "a plan needs cells or a grid"),
        ("seeds = []\n[cells.a]\n", "seeds must be at least one"),
        ("seeds = [1, 1]\n[cells.a]\n", "each once"),
        (
            "seeds = [1000]\n[cells.a]\n[tuning]\nlearning_rates = [1.0, 2.0]\n",
            "seed 1000 is in seeds and in tuning.seeds",
        ),
        ('[cells.a]\n[[contrasts]]\nname = "x"\na = "a"\nb = "a"\ndepth_a = 5\n', "depth 5 is not among"),
        ('[cells.a]\n[[contrasts]]\nname = "x"\na = "a"\n', "key 'contrasts.0.b' is missing"),
        (
            '[cells.a]\n[[contrasts]]\nname = "x"\na = "a"\nb = "a"\npaper.claim = "better"\n',
            "contrasts.0.paper.claim must be one of 'higher'",
        ),
        (2 * '[[contrasts]]\nname = "x"\na = "a"\nb = "a"\n' + "[cells.a]\n", "two contrasts are called 'x'"),
        ('[cells.a]\n[test]\nmeasure = "goodness"\n', "goodness"),
        ("[cells.a]\n[test]\nlimit = 0\n", "test.limit"),
        ("[cells.a]\n[tuning]\nseeds = []\n", "tuning.seeds must be at least one"),
        ("[cells.a]\n[tuning]\nlearning_rates = [1e-3, -1.0]\n", "tuning.learning_rates must be above zero"),
        ("[cells.a]\n[tuning]\nlearning_rates = [1e-3, 1e-3]\n", "each once, not [0.001, 0.001]"),
        ("[cells.a]\nlearning_rates = [0.0]\n", "learning_rates of a cell must be above zero"),
    ],
)
def test_a_page_that_cannot_be_run_is_refused_by_name(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"p\.toml") as error:
        plan_of(text, tmp_path)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[cells.a]\nset.objective.weigth = 1\n", "cell 'a': .*unknown key 'objective.weigth'"),
        ('[cells.a]\n[[contrasts]]\nname = "x"\na = "a"\nb = "c"\n', "contrast 'x' names the cell 'c'"),
        ('[cells.a]\ntuned_as = "c"\n', "tuned_as of 'a' names the cell 'c'"),
        ("[cells.a]\nlearning_rates = [1.0]\n", "learning_rates are 1, the plan's 0"),
        ("[grid]\nlora.r = 4\n", "grid.lora.r must be a list"),
        (
            '[cells.a]\n[common]\ndata.dev = ""\nevaluation.every = 0\n[tuning]\nlearning_rates = [1.0, 2.0]\n',
            "data.dev names none",
        ),
        (
            '[cells.a]\n[test]\nsuite = "emoji+glyphs"\nsplit = "dev"\n[tuning]\nlearning_rates = [1.0, 2.0]\n',
            "the test would be the development tasks",
        ),
        (
            '[cells.a]\n[test]\nsplit = "dev"\n[tuning]\nlearning_rates = [1.0, 2.0]\n',
            "the test would be the development tasks",
        ),
    ],
)
def test_cells_that_cannot_be_made_are_refused_by_name(text: str, told: str, tmp_path: Path) -> None:
    plan = plan_of(text, tmp_path)

    def make() -> None:
        for cell in cells_of(plan).values():
            recipe_of(plan, cell, learning_rate=None, seed=0)
        tuning_runs(plan)

    with pytest.raises(ConfigError, match=told):
        make()


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../dev", "dev", "./dev"])
def test_rates_are_not_chosen_on_the_test_however_its_folder_is_spelt(
    spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_plan(tmp_path)
    monkeypatch.chdir(tmp_path)
    dev = spelling.format(tmp_path / "dev")
    plan = load_plan(page, [f'common.data.dev="{dev}"', f'test.folder="{tmp_path / "dev"}"'])
    with pytest.raises(ConfigError, match="the test would be the development tasks"):
        tuning_runs(plan)
    tuning_runs(load_plan(page, [f'common.data.dev="{dev}"']))


def test_other_data_of_a_suite_in_the_same_folder_makes_another_run(tmp_path: Path) -> None:
    (tmp_path / "emoji").mkdir()
    path = tmp_path / "emoji" / "concepts.jsonl"
    keys = []
    for content in ("a", "b", "a"):
        path.write_text(content, encoding="utf-8")
        _folder_digest.cache_clear()
        plan = plan_of(f'[cells.a]\n[test]\nsuite = "glyphs+emoji"\nroot = "{tmp_path}"\n', tmp_path)
        keys.append(reported_runs(plan, cells_of(plan)["a"], learning_rate=1e-3)[0].key)
    assert keys[0] == keys[2] != keys[1]


def test_what_a_plan_needs_and_is_not_there_is_told_with_the_way_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_of(
        '[cells.a]\nset.data.path = "here.jsonl"\n[needs]\n"there.jsonl" = "call mother"\n"here.jsonl" = "bake it"\n',
        tmp_path,
        overrides=['recipe="gmr-3b-sft"', 'common.model.base="gmr-nano-base"'],
    )
    cell = cells_of(plan)["a"]
    with pytest.raises(ConfigError, match=r"^plan 'p' needs here\.jsonl, which is not there: bake it$"):
        reported_runs(plan, cell, learning_rate=None)
    (tmp_path / "here.jsonl").touch()
    assert len(reported_runs(plan, cell, learning_rate=None)) == 3


@pytest.mark.parametrize("name", list(packaged_plans()))
def test_a_packaged_plan_names_no_file_that_it_does_not_tell_how_to_make(name: str) -> None:
    plan = load_plan(name)
    for cell in cells_of(plan).values():
        recipe = recipe_of(plan, cell, learning_rate=None, seed=0)
        made = set(plan.needs)
        assert recipe.model.base in {*made, "gmr-nano", "gmr-nano-base"}
        assert recipe.data.path is None or recipe.data.path in made
        assert recipe.data.dev == "suite" or recipe.data.dev in made
        if plan.test.folder is not None:
            assert str(plan.test.folder) != recipe.data.dev
            assert any(plan.test.folder.is_relative_to(Path(each).parent) for each in made)


def test_an_unknown_plan_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match=r"nowhere: no such plan file.*paper-combinations"):
        load_plan("nowhere")


def test_a_quick_look_at_a_plan_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no table \[quick\]"):
        plan_of("[cells.a]\n", tmp_path, quick=True)
