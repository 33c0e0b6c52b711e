"""The interactive page: what changed between two pictures, in many pairs, and whether a picture shows a defect."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import gradio as gr

from whatchanged import images
from whatchanged.page.comparing import Models
from whatchanged.page.defects import defects
from whatchanged.page.many_pairs import many_pairs
from whatchanged.page.sessions import Sessions
from whatchanged.page.two_pictures import two_pictures
from whatchanged.page.working import session_of

MAX_FILE = "100mb"
KEPT = 3600  # seconds after which the files of a page that was left open go
HERE = Path(__file__).parent
TITLE = "# What changed between these two pictures?"
INTRODUCTION = """Put in a picture and a later one of the same place. They stay on the computer that serves this
page, and are deleted when you close it."""
_HEIGHT = 900  # of the frame in a notebook
_FIELDS = 1150  # pixels above the result, and below it a list of some regions
_GRADIO_LACKS = {"common.upload": "Upload", "common.complete": "Done", "common.error": "Error"}  # and shows the key


def launch(
    before: images.Picture | None = None,
    after: images.Picture | None = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    describer: str | Path | None = None,
    classifier: str | Path | None = None,
    block: bool = False,
) -> gr.Blocks:
    """Serve the page; in a notebook, show it under the cell.

    Parameters
    ----------
    before, after : two pictures that the page begins with, compared: files, arrays (H, W, 3) or pictures of Pillow.
    host : address to listen on. The default answers to this machine only; "0.0.0.0" lets others in.
    port : None takes the first free one from 7860.
    describer, classifier : folder of a trained T-BLIP2, file of a trained ResNet18; all else works without them.
    block : wait until it is stopped, and delete all that was uploaded.

    Returns
    -------
    gradio.Blocks
        With `local_url` and `close()`.

    Raises
    ------
    OSError
        The port is taken.
    ValueError
        One picture without the other, or one that is none.
    """
    if (before is None) != (after is None):
        raise ValueError(f"there is no picture {'before' if before is None else 'after'}: give both or none")
    folder = Path(tempfile.mkdtemp(prefix="differences-"))  # only its owner may look into it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    given = [] if before is None or after is None else _given(before, after, folder / "given")
    page = build(Models(describer, classifier), Sessions(folder), *examples(), given)
    page.queue(default_concurrency_limit=2, max_size=50)
    theme = gr.themes.Default(primary_hue="blue", font="sans-serif", font_mono="monospace")
    theme.set(button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800")
    theme.set(body_text_color_subdued="*neutral_600")  # its own is too faint to be read by everyone
    page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        footer_links=[],
        theme=theme,
        css_paths=[HERE / "style.css"],
        js=(HERE / "page.js").read_text(encoding="utf-8"),
        max_file_size=MAX_FILE,
        show_error=True,
        ssr_mode=False,
        quiet=True,
        height=_height(given),
        i18n=gr.I18n(en=_GRADIO_LACKS),
    )
    print(f"The page is at {page.share_url or page.local_url}{'; Ctrl-C stops it' if block else ''}")
    if block:
        sys.stdout.flush()  # the address, where a program reads it
        try:
            while page.is_running:
                time.sleep(0.1)  # and not a wait without end, which on Windows no Ctrl-C would end
        finally:
            page.close(verbose=False)
    return page


def _given(before: images.Picture, after: images.Picture, folder: Path) -> list[str]:
    """Both pictures as files in a folder of the page: files as they are."""
    pair = []
    for name, picture in (("before", before), ("after", after)):
        place = folder / name
        place.mkdir(parents=True)
        if isinstance(picture, str | Path):
            images.read_image(picture)  # a bad one is told here, and not in the page
            pair.append(str(shutil.copyfile(picture, place / Path(picture).name)))
        else:
            array, _, _ = images.as_arrays(picture, picture)
            pair.append(str(images.write_image(place / f"{name}.png", array)))
    return pair


def _height(given: list[str]) -> int:
    """Pixels that the page needs in a notebook: the fields, and the taller picture, half as wide as the cell."""
    if not given:
        return _HEIGHT
    shapes = [images.read_image(path).shape for path in given]
    tallest = max(height * min(480, max(320, width)) / width for height, width, _ in shapes)  # small ones are enlarged
    return int(_FIELDS + min(tallest, 800))


def examples() -> tuple[dict[str, list[str]], list[str]]:
    """Pictures to begin with, which come with the package: pairs (name -> the two files), and surfaces."""
    folder = HERE / "examples"
    pairs = {
        path.name.removesuffix(" before.png"): [str(path), str(path).replace(" before.png", " after.png")]
        for path in sorted(folder.glob("* before.png"), reverse=True)
    }
    return pairs, [str(path) for path in sorted(folder.glob("surface *.png"))]


def build(
    models: Models, sessions: Sessions, pairs: dict[str, list[str]], walls: list[str], given: list[str] | None = None
) -> gr.Blocks:
    """The page, not served yet; `given` are two files that it begins with."""

    def leave(request: gr.Request) -> None:
        sessions.end(session_of(request))

    with gr.Blocks(title="What changed?", analytics_enabled=False, delete_cache=(300, KEPT)) as page:
        with gr.Row(elem_classes="head"):
            gr.Markdown(TITLE)
            gr.Button("Light or dark", size="sm", scale=0, min_width=40, elem_id="theme")
        gr.Markdown(INTRODUCTION, elem_id="introduction")
        with gr.Tab("Two pictures"):
            two_pictures(models, sessions, pairs, given or [], page.load)
        with gr.Tab("Many pairs"):
            many_pairs(models, sessions)
        with gr.Tab("Defects"):
            defects(models, sessions, walls)
        page.unload(leave)
    return page
