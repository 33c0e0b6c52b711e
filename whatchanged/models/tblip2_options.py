"""How a T-BLIP2 is built: the options that are saved beside its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from whatchanged.files import read_json, write_json

STREAMS = ("two", "one")
PROMPT = "Diff: "
OPTIONS = "options.json"
CLUSTERS, ATTENTION = "clusters", "attention"  # the course's own detector and fusion layer


@dataclass(frozen=True)
class TBLIP2Options:
    """The options of `EnhancedDiffBLIP2`.

    Attributes
    ----------
    streams : "two" encode each picture for itself; "one" lays them side by side.
    clusters : whether the prefix has cluster tokens.
    max_clusters, eps, min_samples, threshold_percentile : of `DifferenceDetector`.
    feature_weight : 0 to 1, how much the encoder's features count in the difference map beside the pixels.
    freeze_vision : train all but the image encoder.
    lora : rank of the language model's LoRA adapters, which then are all that is trained of it; 0 trains it whole.
    checkpointing : compute the language model's activations twice instead of keeping them.
    align_dim : width of the heads that tie pairs to captions, a multiple of 32.
    prompt : the words before the caption.
    join : what stands between the sentences of a caption, each of them about one change, as in `DDLA`: then a cluster
        learns to show all words of one sentence. None: a caption is taken as a whole, and some cluster shows each word.
    detector, fusion : names of `models.parts`: the course's own, or one's own that are registered.

    Raises
    ------
    ValueError
        There are no such streams, or the weight is out of range.
    """

    streams: str = "two"
    clusters: bool = True
    max_clusters: int = 5
    eps: float = 3.5
    min_samples: int = 20
    threshold_percentile: float = 98.5
    feature_weight: float = 0.0
    freeze_vision: bool = True
    lora: int = 16
    checkpointing: bool = False
    align_dim: int = 256
    prompt: str = PROMPT
    join: str | None = None
    detector: str = CLUSTERS
    fusion: str = ATTENTION

    def __post_init__(self) -> None:
        if self.streams not in STREAMS:
            raise ValueError(f"streams is {self.streams!r}: choose 'two' or 'one'")
        if not 0 <= self.feature_weight <= 1:
            raise ValueError(f"feature_weight is {self.feature_weight}: give 0 (pixels only) to 1 (features only)")

    def save(self, folder: Path) -> None:
        """Write `options.json` into a model's folder; parts are named there only where they are one's own."""
        own = {"detector": CLUSTERS, "fusion": ATTENTION}
        write_json(folder / OPTIONS, {name: one for name, one in asdict(self).items() if own.get(name) != one})

    @classmethod
    def load(cls, folder: Path) -> TBLIP2Options:
        """What `save` wrote; ValueError where there is no such file."""
        if not (folder / OPTIONS).is_file():
            raise ValueError(f"{folder} holds no {OPTIONS}: save_pretrained writes it, when all else is written")
        return cls(**read_json(folder / OPTIONS))
