"""`whatchanged describe`: what changed, in words, of one pair or of many."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from whatchanged.commands.status import TROUBLE, announce, count
from whatchanged.progress import waiting

if TYPE_CHECKING:
    from whatchanged.listing import Item


def add(commands: Any) -> None:
    """The options of `describe`."""
    describe = commands.add_parser(
        "describe",
        help="say in words what changed between two pictures",
        description="Say in words what changed between two pictures, or those of many pairs, by a trained T-BLIP2."
        " A run that was stopped goes on where it was when the same command is given again.",
        epilog="Exit status: 0 described, 2 trouble (with --input-dir: 2 where any pair is bad).",
    )
    describe.add_argument("--image1", metavar="FILE", help="the picture before")
    describe.add_argument("--image2", metavar="FILE", help="the picture after")
    describe.add_argument(
        "--model-path", metavar="DIR", help="a trained model, as its `save_pretrained` wrote it (needed)"
    )
    describe.add_argument(
        "--input-dir",
        metavar="PAIRS",
        help="a folder or an archive with x_before.png and x_after.png, x.png and x_2.png, or before/x.png and"
        " after/x.png; or a CSV file with the columns before,after",
    )
    describe.add_argument("--output-file", metavar="JSON", help="with --input-dir: the captions go here")
    describe.add_argument("--num-beams", type=int, default=1, metavar="N", help="beam search over N beginnings (1)")
    describe.add_argument("--max-new-tokens", type=int, default=50, metavar="N", help="longest caption (50)")
    describe.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    single = options.image1 is not None and options.image2 is not None
    many = options.input_dir is not None and options.output_file is not None
    given = (options.image1, options.image2, options.input_dir, options.output_file)
    if single == many or sum(one is not None for one in given) != 2:
        raise ValueError("give --image1 and --image2, or --input-dir and --output-file")
    if options.model_path is None:
        raise ValueError("give --model-path, the folder of a trained model")
    if many:
        return _describe_many(options)
    from whatchanged.images import read_pair

    pictures = read_pair(options.image1, options.image2)  # a bad one is told before the model loads
    describe = _describer(options)
    with waiting("writing what changed"):
        caption, unlike = describe(*pictures)
    print(caption)
    if unlike:
        from whatchanged.models.likeness import MAY_MEAN_NOTHING

        announce(f"whatchanged: this pair is {MAY_MEAN_NOTHING}")
    return 0


def _describer(options: argparse.Namespace) -> Callable[..., tuple[str, bool | None]]:
    """Of a pair the caption, and whether the pair is unlike those that the model learned from, where that is known."""
    with waiting("loading the model"):
        from whatchanged.models.describer import Describer

        own = {"num_beams": options.num_beams, "max_new_tokens": options.max_new_tokens}
        return Describer(options.model_path, **own).say


def _describe_many(options: argparse.Namespace) -> int:
    from whatchanged.journal import Journal
    from whatchanged.pairs import searched

    about = {"model": str(options.model_path), "num_beams": options.num_beams, "max_new_tokens": options.max_new_tokens}
    with searched(options.input_dir, skip=[os.path.realpath(options.output_file)]) as items:
        pairs = {item.names: item for item in items if item.state == "compared" or item.error}
        with Journal(options.output_file, "pairs", about, key=lambda one: (one["before"], one["after"])) as journal:
            missing = [pairs[names] for names in journal.missing(list(pairs))]
            for record in _captions(missing, options):
                journal.add(record)
            journal.finish(list(pairs))
    bad = sum(bool(journal.done[pair]["error"]) for pair in pairs)
    odd = sum(bool(journal.done[pair].get("unlike")) for pair in pairs)
    earlier = f" ({len(pairs) - len(missing)} by an earlier run)" if len(missing) < len(pairs) else ""
    print(f"{count(len(pairs), 'pair')}: {len(pairs) - bad} described{earlier}, {bad} bad")
    if odd:
        from whatchanged.models.likeness import MAY_MEAN_NOTHING

        print(f"{count(odd, 'pair')} of them {'is' if odd == 1 else 'are'} {MAY_MEAN_NOTHING}")
    return TROUBLE if bad else 0


def _captions(items: Sequence[Item], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The record of each pair, or why it has none."""
    from tqdm import tqdm

    from whatchanged.images import read_image
    from whatchanged.pairs import each

    if not items:
        return
    describe = _describer(options)

    def caption(item: Item) -> tuple[str, bool | None]:
        if item.error:
            raise ValueError(item.error)
        return describe(*(read_image(file.path) for file in item.files))

    for item, done, reason in each(tqdm(items, unit="pair", disable=None), caption):
        before, after = item.names
        said, unlike = done or ("", None)
        yield {"before": before, "after": after, "caption": said, "unlike": unlike, "error": item.told(reason)}
