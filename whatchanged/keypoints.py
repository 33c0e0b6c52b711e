"""Where two views of one scene lie on each other, from matched keypoints: for any zoom, turn and tilt."""

from __future__ import annotations

import cv2
import numpy as np

_KEYPOINTS = 2000
_DISTINCT = 0.8  # Lowe's ratio: a match must be this much nearer than the second nearest
_LEAST = 12  # matches that must agree on one view


def homography(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    """A perspective from pixels of the before image to those of the after image; None where too few keypoints agree.

    Parameters
    ----------
    before, after : uint8 arrays (H, W), gray; 800 pixels along the longer side are enough.

    Notes
    -----
    SIFT [1]_ matches over zooms of more than two, at which ORB no longer does; MAGSAC++ [2]_ sorts out the matches.

    References
    ----------
    .. [1] Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 60, 2004.
    .. [2] Barath et al., MAGSAC++, a fast, reliable and accurate robust estimator, CVPR 2020.
    """
    sift = cv2.SIFT.create(_KEYPOINTS, contrastThreshold=0.015)
    found = [sift.detectAndCompute(image, None) for image in (before, after)]
    if any(descriptors is None or len(points) < _LEAST for points, descriptors in found):
        return None
    (first, theirs), (second, others) = found
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(theirs, others, k=2)
    good = [pair[0] for pair in nearest if len(pair) == 2 and pair[0].distance < _DISTINCT * pair[1].distance]
    if len(good) < _LEAST:
        return None
    source = np.array([first[match.queryIdx].pt for match in good], np.float32)
    target = np.array([second[match.trainIdx].pt for match in good], np.float32)
    cv2.setRNGSeed(0)  # it draws from OpenCV's generator: the same pair must give the same answer
    matrix, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 2.0, maxIters=5000, confidence=0.999)
    if matrix is None or np.count_nonzero(inliers) < _LEAST:
        return None
    return matrix if len(np.unique(source[inliers.ravel() > 0].round(), axis=0)) >= _LEAST else None
