"""Every figure is shown with its words."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import plotting, scenes


def test_figures_carry_their_words(monkeypatch):
    import io

    import IPython.display
    from PIL import Image

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **options: shown.append((data, options)))
    pair = scenes.scene_pair(0)
    heat = np.random.default_rng(0).random(pair.before.shape[:2])
    figures = [
        plotting.images([pair.before, heat], ["before", "heat"]),
        plotting.pair_with_boxes(pair.before, pair.after, pair.boxes, pair.boxes, title="pair"),
        plotting.heat_map(pair.before, heat, title="heat", label="0 to 1"),
        plotting.overlay_slider(pair.before, pair.after, at=0.3),
    ]
    for figure in figures:
        plotting.show(figure, "what one sees")
    assert len(shown) == 4
    for data, options in shown:
        assert options["metadata"]["image/png"]["alt"] == data["text/plain"] == "what one sees"
        assert Image.open(io.BytesIO(data["image/png"])).format == "PNG"
    with pytest.raises(ValueError, match="needs alt text"):
        plotting.show(figures[0], " ")
    with pytest.raises(ValueError, match="at is 2"):
        plotting.overlay_slider(pair.before, pair.after, at=2)
