"""How Sphinx builds the site: outputs as they stand, and nothing that a browser would have to fetch elsewhere."""

import json
import os
import re
import sys
import tomllib
from html import escape
from html.parser import HTMLParser
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from myst_nb.core.render import NbElementRenderer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # autodoc reads the docstrings of whatchanged

project = "What changed between these two pictures?"
author = "the course"
language = "en"
version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the set-up"
nb_code_prompt_hide = "Hide the set-up"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # as GitHub has them: docs/your_pictures.md#many-pairs
highlight_language = "none"  # of a fence that names no language
default_role = "code"  # `name` in a docstring
add_module_names = False
autodoc_member_order = "bysource"
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["course.css"]
html_use_index = False
html_show_copyright = False
html_show_sphinx = False
html_sourcelink_suffix = ""  # the download button hands out 01_classic_diff.ipynb, not 01_classic_diff.ipynb.txt
html_theme_options = {
    "use_fullscreen_button": False,
    "use_download_button": True,
    "show_toc_level": 2,
    "navbar_persistent": [],  # the search field is in the side bar
    "footer_content_items": ["colophon.html"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

repository = os.environ.get("COURSE_REPOSITORY", "")
html_context = {"repository": repository}
if repository:  # without the place of a copy there is nothing that Colab could open
    html_theme_options |= {
        "repository_url": repository,
        "repository_branch": os.environ["COURSE_BRANCH"],
        "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    }


def inline_math(translator, node):
    """Formulas as MathML, which browsers draw themselves; MathJax would be fetched from elsewhere."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(translator, node):
    """As `inline_math`, on a line of its own."""
    translator.body.append(f'<div class="math" tabindex="0">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def image_with_alt(renderer, data, plain=NbElementRenderer.render_image):
    """A figure of an output with its words for those who do not see it; MyST-NB itself drops them."""
    images = plain(renderer, data)
    for image in images:
        image["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", "")
    return images


def described(app, what, name, obj, options, lines):
    """The docstrings say `name : what it is`, over several lines; NumPy's convention wants a type there, on one."""
    lines[:] = re.sub(r"^([\w*]+(?:, [\w*]+)*) : ", r"\1\n    ", "\n".join(lines), flags=re.MULTILINE).split("\n")


def finish_page(app, name, template, context, doctree):
    """Each picture leads to itself, as large as it is; the search page alone knows the text of all pages."""
    lone = r'(<a [^>]*>(?:\s|<span[^>]*>)*)?(<img [^>]*src="([^":]*_images/[^"]+)"[^>]*>)'
    context["body"] = re.sub(
        lone, lambda found: found[0] if found[1] else f'<a href="{found[3]}">{found[2]}</a>', context.get("body", "")
    )
    if name == "search":
        app.add_js_file("texts.js", priority=100)
        app.add_js_file("excerpts.js", priority=101)


class Text(HTMLParser):
    """A page's text in its sections, as HTML without anything else: what search makes an excerpt of."""

    def __init__(self, page: str):
        super().__init__()
        self.parts, self.open = [], []
        self.feed(page.partition('<article class="bd-article">')[2].partition("</article>")[0])

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("section", "dt") and given.get("id"):
            self.parts.append(f'<{tag} id="{given["id"]}">')
        if tag in ("style", "script", "svg", "math") or given.get("class") in (
            "headerlink",
            "ways",
            "collapsed",
            "expanded",
        ):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag in ("section", "dt"):
            self.parts.append(f"</{tag}>")

    def handle_data(self, data):
        if not self.open:
            self.parts.append(escape(re.sub(r"\s+", " ", data)))


def write_texts(app, error):
    """The text of all pages in one script: from a disk a browser lets no page fetch another."""
    if error:
        return
    texts = {
        name: "".join(Text((Path(app.outdir) / f"{name}.html").read_text(encoding="utf-8")).parts)
        for name in sorted(app.env.found_docs)
    }
    script = f"const TEXTS = {json.dumps(texts, ensure_ascii=False)};\n"
    (Path(app.outdir) / "_static" / "texts.js").write_text(script, encoding="utf-8")


def setup(app):
    """Sphinx calls this."""
    NbElementRenderer.render_image = image_with_alt
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("autodoc-process-docstring", described, priority=400)  # before napoleon reads them
    app.connect("html-page-context", finish_page)
    app.connect("build-finished", write_texts)


html_math_renderer = "mathml"
