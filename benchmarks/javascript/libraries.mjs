// What the tools of wishes.py can do as libraries and not as commands: node libraries.mjs WAY BEFORE AFTER [LIMIT]; the
// exit status is that of the tool's command.
import { readFileSync, writeFileSync } from "node:fs";
import * as blazediff from "@blazediff/bin";
import odiff from "odiff-bin";
import pixelmatch from "pixelmatch";
import { PNG } from "pngjs";

const [way, before, after, limit] = process.argv.slice(2);
const [a, b, compared] = [before, after, "compared.png"].map((name) => PNG.sync.read(readFileSync(name)));
const { width: w, height: h } = a;
const diff = new PNG({ width: w, height: h });
const ignored = Uint8Array.from({ length: w * h }, (_, i) => compared.data[4 * i] === 0);

const ways = {
  pixelmatch_ignore: () => pixelmatch(a.data, b.data, diff.data, w, h, { ignoreMask: ignored }) > 0,
  pixelmatch_limit: () => pixelmatch(a.data, b.data, diff.data, w, h) > Number(limit),
  pixelmatch_mask: () => pixelmatch(a.data, b.data, diff.data, w, h, { diffMask: true }) > 0,
  odiff_limit: async () => (await odiff.compare(before, after, "diff.png")).diffCount > Number(limit),
  blazediff_limit: async () => (await blazediff.compare(before, after, "diff.png")).diffCount > Number(limit),
};
const differs = await ways[way]();
if (way.startsWith("pixelmatch")) writeFileSync("diff.png", PNG.sync.write(diff));
process.exit(differs ? { pixelmatch: 66, odiff: 22, blazediff: 1 }[way.split("_")[0]] : 0);
