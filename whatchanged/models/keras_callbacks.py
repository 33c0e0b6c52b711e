"""Callbacks for Keras' own training: a line of progress, an end where the loss is no number, files that are whole."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from whatchanged.models.dual_attention import keras
from whatchanged.progress import progress_bar


class TextBar(keras.callbacks.Callback):
    """One line of text while a model trains, which is gone afterwards."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._open = ExitStack()
        self._bar = self._open.enter_context(progress_bar(self.params["epochs"] * (self.params["steps"] or 0)))

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._bar.update(epoch * (self.params["steps"] or 0) - self._bar.n)
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._bar.set_postfix_str(f"epoch {self._epoch}, loss {(logs or {})['loss']:.3f}", refresh=False)
        self._bar.update()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._open.close()


class FiniteLoss(keras.callbacks.Callback):
    """Ends a training whose loss is NaN or infinite with a ValueError, before such weights are kept as the best."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._hold(logs or {}, "loss", f"in epoch {self._epoch}, step {batch + 1}")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch + 1

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._hold(logs or {}, "val_loss", f"after epoch {self._epoch}")

    def _hold(self, logs: dict, name: str, when: str) -> None:
        if not math.isfinite(logs.get(name, 0)):
            told = "validation loss" if name == "val_loss" else name
            raise ValueError(f"the {told} became {logs[name]} {when}: lower LEARNING_RATE, or look at the pictures")


class WholeCheckpoint(keras.callbacks.ModelCheckpoint):
    """Keras' own, but the file is the old one or the new one, even where a kill cuts off the saving."""

    def __init__(self, path: str | Path, **options: Any) -> None:
        self.whole = Path(path)
        self.part = self.whole.with_name(f"part.{self.whole.name}")  # Keras goes by the suffix
        super().__init__(self.part, **options)

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.part.unlink(missing_ok=True)
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.part.exists():
            os.replace(self.part, self.whole)
