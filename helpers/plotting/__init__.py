"""Every figure of the course: one look, one palette, alt text on all of them."""

from helpers.plotting.base import DPI, HEAT, SERIES, TRUE, save, show
from helpers.plotting.curves import (
    intervals,
    lines,
    loss_by_iteration,
    loss_parts,
    roc_curves,
    training_curves,
)
from helpers.plotting.diagrams import diagram
from helpers.plotting.pictures import captioned_pairs, heat_map, images, outline, overlay_slider, pair_with_boxes
from helpers.plotting.scores import classification_report, confidence_histogram, confusion_matrices, table_heat
