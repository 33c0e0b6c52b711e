"""One pair of pictures as HTML: its pages, laid on each other in several views, and the list of its regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from whatchanged.embedded import Layer, Stage, cutout, heat_colors, stage_of
from whatchanged.markup import Html, tag, together
from whatchanged.options import METHODS
from whatchanged.pages import Page
from whatchanged.regions import Difference, Region, rounded_down

KIND_WORDS = {
    "exact": "The same rendering: every pixel counts.",
    "layout": "A page of which parts moved: every pixel counts, wherever it lies now.",
    "camera": "Photographs: laid on each other, in one light.",
}

_VIEWS = {"side": "Side by side", "swipe": "Slider", "blink": "Blink", "heat": "Heat map"}
_ZOOMS = {"fit": "Fit", "1": "100 %", "2": "200 %", "4": "400 %"}
_KEYS = {
    "n or right arrow": "next region",
    "p or left arrow": "previous region",
    "1, 2, 3, 4": "side by side, slider, blink, heat map",
    "space": "in blink: the other picture",
    "b": "boxes on or off",
    "?": "these keys",
}
_SCRIPTED: dict[str, str | bool] = {"hidden": "hidden", "data_scripted": True}
# of what means nothing before the script shows it: a notebook that is not trusted drops script and style sheet, and of
# "hidden" what has no value
_BOX = "position:absolute;border:2px solid #d55e00;color:#d55e00"  # there; the style sheet draws it otherwise
PICTURED = 200
"""Regions of a page with thumbnails: the strongest; the others are told in words."""
_TOLD = {"before", "after", "regions", "method", "kind", "similarity", "note", "pages", "error"}
_TOLD |= {"changed_pixels", "changed_share", "uncompared_share", "transform"}  # in words of their own


def pair_html(
    seen: Iterable[tuple[Page, Difference]],
    record: dict[str, Any],
    size: str,
    pixels: int | None,
    pictured: int = PICTURED,
) -> Html:
    """The pair without style and script; see `report.report_page`."""
    sheets, names = [], []
    for page, found in seen:
        sheets.append(_sheet(page, found, size, pixels, pictured))
        count = len(found.regions)
        names.append(f"Page {page.number}: {regions_in_words(count) if count else 'no region'}")
    if not sheets:
        raise ValueError(
            "there is no page to show: give the pages of the pair, as `documents.detect_pages` yields them"
        )
    attributes = {"data_view": "side", "data_zoom": "fit", "data_boxes": "on"}
    return tag(
        "div", _summary(record), _tools(names), *sheets, _help(), class_="whatchanged whatchanged-pair", **attributes
    )


def _summary(record: dict[str, Any]) -> Html:
    """What was found, in a sentence and as a list of facts."""
    error, note = record.get("error"), record.get("note")
    facts = {name.capitalize(): record.get(name) for name in ("before", "after")}
    if not error:
        facts |= {
            "Kind": KIND_WORDS.get(record.get("kind", ""), record.get("kind")),
            "Similarity": similarity_in_words(record),
            "Method": METHODS.get(record.get("method", ""), record.get("method")),
            "Pages": record.get("pages"),
            "Changed": _changed_in_words(record),
            "Not compared": _percent(share) if (share := record.get("uncompared_share")) else None,
            "Confidence of the alignment": (record.get("transform") or {}).get("confidence"),
        }
    facts |= {name.replace("_", " ").capitalize(): value for name, value in record.items() if name not in _TOLD}
    rows = [
        tag("div", tag("dt", name), tag("dd", _told(value)))
        for name, value in facts.items()
        if value not in (None, "", [], {})
    ]
    return tag(
        "div",
        tag("p", str(error) if error else verdict(record), class_="error" if error else "verdict"),
        tag("p", f"{note[0].upper()}{note[1:]}.", class_="note") if note else None,
        tag("dl", *rows),
        class_="summary",
    )


def _changed_in_words(record: dict[str, Any]) -> str | None:
    if not (pixels := record.get("changed_pixels")):
        return None
    return f"{pixels:,} pixel{'' if pixels == 1 else 's'}, {_percent(record['changed_share'])}"


def _percent(share: float) -> str:
    """To two places, and no 1e+02 of nearly all."""
    return f"{100 * share:.{2 if share < 0.995 else 3}g} %"


def verdict(record: dict[str, Any]) -> str:
    """In a sentence, what a record says."""
    found = record.get("regions") or []
    if found:
        happened = Counter(one["what"] for one in found)
        parts = ", ".join(f"{count} {what}" if len(found) > 1 else what for what, count in happened.most_common())
        return f"{regions_in_words(len(found))} {'differs' if len(found) == 1 else 'differ'}: {parts}."
    if record.get("kind") == "camera":
        return "No region differs by more than the noise."
    return "No difference." if record.get("similarity") == 1 else "No region differs."


def regions_in_words(regions: int) -> str:
    """ "1 region", "1,200 regions"."""
    return f"{regions:,} region{'' if regions == 1 else 's'}"


def similarity_in_words(record: dict[str, Any]) -> str | None:
    """The similarity of a record, to four places; None where it has none."""
    value = record.get("similarity")
    return None if value is None else f"{rounded_down(value, 4):.4f}"


def _told(value: Any) -> str:
    """A value of the record in words."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_told(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _tools(names: list[str]) -> Html:
    """What a script works; without one it stays hidden."""

    def button(text: str, **attributes: str) -> Html:
        return tag("button", text, type="button", **attributes)

    views = [
        button(told, data_view=view, aria_pressed="true" if view == "side" else "false", title=f"{told} ({key})")
        for key, (view, told) in enumerate(_VIEWS.items(), start=1)
    ]
    pages = [tag("option", name, value=str(number)) for number, name in enumerate(names)]
    zooms = [tag("option", told, value=zoom) for zoom, told in _ZOOMS.items()]
    return tag(
        "div",
        tag("div", *views, class_="group", role="group", aria_label="View"),
        tag("label", "Page ", tag("select", *pages, class_="page")) if len(names) > 1 else None,
        tag("label", "Size ", tag("select", *zooms, class_="zoom")),
        button("Boxes", class_="boxes", aria_pressed="true", title="Boxes (b)"),
        tag(
            "div",
            button("\N{LEFTWARDS ARROW}", class_="previous", aria_label="Previous region", title="Previous region (p)"),
            button("\N{RIGHTWARDS ARROW}", class_="next", aria_label="Next region", title="Next region (n)"),
            class_="group regions-only",
            role="group",
            aria_label="Regions",
        ),
        button("Keys", class_="keys", title="Keys (?)", aria_haspopup="dialog"),
        tag("p", class_="status", role="status"),
        class_="tools",
        **_SCRIPTED,
    )


def _help() -> Html:
    rows = [tag("div", tag("dt", key), tag("dd", does)) for key, does in _KEYS.items()]
    close = tag("button", "Close", type="button", class_="close")
    inside = tag("div", tag("p", tag("b", "Keys")), tag("dl", *rows), close, **_SCRIPTED)
    return tag("dialog", inside, aria_label="Keys", class_="help")


def _sheet(page: Page, found: Difference, size: str, pixels: int | None, pictured: int) -> Html:
    """One page: its pictures and its regions."""
    stage = stage_of(page, found, size, pixels)
    lossless = found.kind != "camera"
    regions = [
        _region(number, one, page, lossless, number <= pictured) for number, one in enumerate(found.regions, start=1)
    ]
    width, height = stage.size
    large = min(max(width, 320), 4 * width)  # small pictures are enlarged, as far as pixels bear it
    return tag(
        "section",
        _stage(stage, page),
        tag("h2", "Regions") if regions else None,
        tag("ol", *regions, class_="regions") if regions else None,
        class_="sheet tall" if height > 2 * width else "sheet",
        style=f"--w:{width};--h:{height};--large:{large}",
        data_single=stage.before is None or stage.after is None,
    )


def _stage(stage: Stage, page: Page) -> Html:
    figures = []
    for name, layer, picture in (("before", stage.before, page.before), ("after", stage.after, page.after)):
        if layer is None or picture is None:
            continue
        told = "before and after" if name == "before" and page.after is not None and stage.after is None else name
        alt = f"{told.capitalize()}, {picture.shape[1]} \N{MULTIPLICATION SIGN} {picture.shape[0]} pixels"
        own = _frame(
            layer, alt, "own" if name == "after" and stage.laid else "", stage.heat if name == "before" else None
        )
        laid = _frame(stage.laid, f"{alt}, laid under before", "laid") if name == "after" and stage.laid else None
        caption = tag("figcaption", f"{alt}: no pixel differs" if told == "before and after" else alt)
        figures.append(tag("figure", caption, own, laid, class_=name))
    line = tag("div", class_="line", aria_hidden="true")
    plane = tag("div", *figures, line, class_="plane")
    slider = tag(
        "input",
        type="range",
        class_="slider",
        min=0,
        max=100,
        value=50,
        step="any",
        aria_label="Slider: before ends here",
    )
    play = tag("button", "Play", type="button", class_="play")
    other = tag("button", "Show the other", type="button", class_="other")
    blink = tag("div", play, other, tag("span", "Before", class_="face"), class_="blinking")
    scroll = tag("div", plane, class_="stage", role="group", aria_label=f"Pictures of page {page.number}", tabindex=0)
    return together([tag("div", slider, blink, class_="controls", **_SCRIPTED), _legend(stage), scroll])


def _frame(layer: Layer, alt: str, kind: str, heat: Layer | None = None) -> Html:
    boxes = [
        tag(
            "span",
            tag("b", str(number)),
            class_=" ".join(["box", *_label_places(left, top, height)]),
            data_region=number,
            aria_hidden="true",
            style=f"left:{left:.4f}%;top:{top:.4f}%;width:{width:.4f}%;height:{height:.4f}%;{_BOX}",
        )
        for number, (left, top, width, height) in layer.boxes
    ]
    over = None
    if heat:
        place = f"width:{100 * heat.width / layer.width:.4f}%;height:{100 * heat.height / layer.height:.4f}%"
        over = tag("img", src=heat.source, alt="", class_="heat", style=place, **_SCRIPTED)
    style = f"--fw:{layer.width};--fh:{layer.height};position:relative;max-width:{layer.width}px"
    shown = tag("img", src=layer.source, alt=alt, style="width:100%")
    scripted = _SCRIPTED if kind == "laid" else {}
    return tag("div", shown, over, *boxes, class_=f"frame {kind}".strip(), style=style, **scripted)


def _label_places(left: float, top: float, height: float) -> list[str]:
    """Where the number of a box, which lies so far in percent, stands: above its left corner, unless it is cut off."""
    low = [] if top >= 8 else ["low"] if top + height < 92 else ["in"]
    return low + (["left"] if left > 85 else ["start"] if left < 1 else [])


def _legend(stage: Stage) -> Html:
    ramp = ", ".join("#{:02x}{:02x}{:02x}".format(*color) for color in heat_colors().tolist())
    scale = tag("i", style=f"background:linear-gradient(to right, {ramp})")
    return tag(
        "div",
        tag("p", "Left of the line before, right of it after.", class_="for-swipe", **_SCRIPTED),
        tag(
            "p",
            "Difference 0 ",
            scale,
            f" {stage.highest:.2f} of 1, over the before picture.",
            class_="for-heat",
            **_SCRIPTED,
        ),
        tag("p", stage.told, class_="for-stack", **_SCRIPTED) if stage.told else None,
        tag("p", "The pictures are shown smaller than they are; positions are those of the files.")
        if stage.scaled
        else None,
        class_="legend",
    )


def _region(number: int, region: Region, page: Page, lossless: bool, pictured: bool) -> Html:
    """A region in the list: both thumbnails, and what is known of it."""
    there = region.after or region.box
    sources = [cutout(page.before, region.box, lossless), cutout(page.after, there, lossless)] if pictured else []
    small = [tag("img", src=one, alt="") if one else tag("span", class_="none") for one in sources]
    words = [
        tag("b", f"{number} \N{MIDDLE DOT} {region.what}"),
        tag("span", _place(region.box)),
        tag("span", f"after: {_place(there)}") if there != region.box else None,
        tag("span", f"{region.area:,} pixel{'' if region.area == 1 else 's'}, {_strength(region.strength)}"),
    ]
    told = tag("span", *words, class_="words")
    thumbs = tag("span", *small, class_="thumbs") if pictured else None
    return tag("li", tag("button", thumbs, told, type="button", class_="region", data_region=number))


def _strength(value: float) -> str:
    return "strength under 0.01" if 0 < value < 0.005 else f"strength {value:.2f}"


def _place(box: Sequence[int]) -> str:
    return f"x {box[0]}, y {box[1]}, {box[2]} \N{MULTIPLICATION SIGN} {box[3]}"
