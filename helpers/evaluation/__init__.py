"""What was found against the truth, with intervals."""

from helpers.evaluation.boxes import (
    BoxScore,
    ClusterScore,
    ConditionScore,
    box_iou,
    compare_methods,
    match_boxes,
    score_boxes,
    score_clusters,
    score_sets,
    score_table,
)
from helpers.evaluation.folds import cross_validated, frozen_accuracies
from helpers.evaluation.scores import (
    BinaryScore,
    Interval,
    MultiLabelScore,
    best_pointing,
    best_thresholds,
    binary_score,
    bootstrap_interval,
    calibration_error,
    decide,
    multi_label_score,
    peak_distances,
    pointing_hits,
    reliability,
    resampled_interval,
    share_interval,
)
