"""Parts that pages share: sections, names with their colour, legends."""

from collections.abc import Iterable, Mapping, Sequence

from gmr.metrics.statistics import Interval
from gmr.reports import figures
from gmr.reports.experiment import System
from gmr.reports.html import Markup, tag


def section(title: str, *content: Markup, identifier: str = "") -> Markup:
    """A section with its heading, and an id to link to where one is given."""
    return tag("section", [tag("h2", title), *content], {"id": identifier} if identifier else None)


def swatch(colour: str) -> Markup:
    """A small square in the colour of the page's style sheet."""
    return tag("i", "", {"class": "swatch", "style": f"background: var({colour})"})


def system_name(systems: Sequence[System], system: System) -> Markup:
    """The name beside its colour, which its place among ``systems`` decides."""
    colour = figures.colours(systems)[system.name]
    return tag("span", [swatch(colour), system.name], {"class": "system", "title": system.description})


def legend(systems: Sequence[System], *, only: Iterable[str] | None = None) -> Markup:
    """The names of the systems in a line, or of those of them that are in ``only``."""
    names = None if only is None else set(only)
    shown = [system_name(systems, system) for system in systems if names is None or system.name in names]
    return tag("div", shown, {"class": "legend"})


def colour_legend(colours: Mapping[str, str]) -> Markup:
    """Names in a line, each beside its colour of the page's style sheet."""
    names = [tag("span", [swatch(colour), name], {"class": "system"}) for name, colour in colours.items()]
    return tag("div", names, {"class": "legend"})


def tile(systems: Sequence[System], system: System, value: Interval) -> Markup:
    """One system's number, large, with its interval and what the system is."""
    content = [
        system_name(systems, system),
        tag("strong", f"{value.mean:.3f}"),
        tag("span", span(value), {"class": "range"}),
    ]
    if system.description:
        content.append(tag("small", system.description))
    return tag("div", content, {"class": f"tile {system.role}"})


def span(value: Interval) -> str:
    """The limits of an interval."""
    return f"{value.low:.3f} – {value.high:.3f}"


def framed(figure: Markup, caption: str) -> Markup:
    """A figure that scrolls sideways in a narrow window, above its caption."""
    return tag("figure", [tag("div", figure, {"class": "scroll"}), tag("figcaption", caption)])
