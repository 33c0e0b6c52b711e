"""How Sphinx builds the site: outputs as they stand, and nothing that a browser would have to fetch elsewhere."""

import os
import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from myst_nb.core.render import NbElementRenderer

project = "What changed between these two pictures?"
author = "the course"
language = "en"
extensions = ["myst_nb", "sphinx_copybutton"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # as GitHub has them: docs/your_pictures.md#many-pairs
highlight_language = "none"  # of a fence that names no language

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_show_copyright = False
html_show_sphinx = False
html_sourcelink_suffix = ""  # the download button hands out 01_classic_diff.ipynb, not 01_classic_diff.ipynb.txt
html_theme_options = {
    "use_fullscreen_button": False,
    "use_download_button": True,
    "show_toc_level": 2,
    "navbar_persistent": [],  # the search field is in the side bar
    "home_page_in_toc": True,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

repository = re.fullmatch(
    r"(?:https://github\.com/)?([\w.-]+/[\w.-]+?)(?:\.git)?/?", os.environ.get("COURSE_REPOSITORY", "")
)
if repository:  # without the place of a copy there is nothing that Colab could open
    html_theme_options |= {
        "repository_url": f"https://github.com/{repository[1]}",
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


def setup(app):
    """Sphinx calls this."""
    NbElementRenderer.render_image = image_with_alt
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))


html_math_renderer = "mathml"
