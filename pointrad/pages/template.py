"""Pages from templates: `page.html` of a package in the frame that all pages have, `frame.html`."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup


def rendered(package: str, style: str, **values: object) -> str:
    """The page of a package, whose `page.js`, if it has one, is its `script`. All values are escaped."""
    environment = Environment(
        loader=FunctionLoader(lambda name: resource(__package__, name)),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    script = Markup(resource(package, "page.js")) if (files(package) / "page.js").is_file() else None
    template = environment.from_string(resource(package, "page.html"))
    return template.render(style=Markup(style), script=script, **values)


def resource(package: str, name: str) -> str:
    """The text of a file beside a package's modules."""
    return (files(package) / name).read_text(encoding="utf-8")
