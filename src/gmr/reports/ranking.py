"""The page of ``gmr rank --html``: each query on top, its documents in rank order with their pictures."""

from collections.abc import Sequence

from gmr.core.nouns import RankedDocument, Ranking, probability
from gmr.reports.figures import signed
from gmr.reports.html import Markup, item, page, tag


def ranking_page(rankings: Sequence[Ranking], *, model: str, top_k: int | None = None) -> str:
    """The rankings as one self-contained HTML document.

    Args:
        rankings: One for each query.
        model: Name of the model, shown under the title.
        top_k: Documents shown of each ranking; all when not given.

    Raises:
        DataError: A picture cannot be read.
    """
    count = sum(len(ranking) for ranking in rankings)
    in_log_odds = all(ranking.in_log_odds for ranking in rankings)
    meaning = "score (log-odds), bar: probability of relevance" if in_log_odds else "score"
    subtitle = f"{count} documents ranked by {model}; number: {meaning}."
    return page("Ranking", [_ranking(ranking, top_k=top_k) for ranking in rankings], subtitle=subtitle)


def _ranking(ranking: Ranking, *, top_k: int | None) -> Markup:
    question = [item(ranking.query.item, label="query")]
    if ranking.query.instruction:
        question.append(tag("p", ranking.query.instruction, {"class": "instruction"}))
    shown = list(ranking)[:top_k]
    parts = [
        tag("div", question, {"class": "question"}),
        tag("ol", [_place(place, ranking.in_log_odds) for place in shown], {"class": "ranking"}),
    ]
    if len(shown) < len(ranking):
        parts.append(tag("p", f"The first {len(shown)} of {len(ranking)} documents.", {"class": "hint"}))
    return tag("section", parts)


def _place(place: RankedDocument, in_log_odds: bool) -> Markup:
    line = [tag("b", str(place.rank)), tag("span", place.doc_id, {"class": "id"})]
    below = []
    if in_log_odds:
        share = probability(place.score)
        line.append(tag("span", signed(place.score, digits=2), {"title": f"probability {share:.4f}"}))
        below.append(tag("div", tag("i", "", {"style": f"width: {100 * share:.1f}%"}), {"class": "bar"}))
    else:
        line.append(tag("span", f"{place.score:.2f}"))
    shown = item(place.document.item, label=f"rank {place.rank}: {place.doc_id}")
    return tag("li", [shown, tag("div", [tag("div", line, {"class": "line"}), *below], {"class": "place"})])
