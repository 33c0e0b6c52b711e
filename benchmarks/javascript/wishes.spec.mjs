// What wishes.py asks of Playwright: a test a wish, of the pair that BEFORE and AFTER name.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";

const before = process.env.BEFORE;
const after = process.env.AFTER && readFileSync(process.env.AFTER);
const limit = Number(process.env.LIMIT);

test("plain", () => {
  expect(after).toMatchSnapshot(before);
});

test("limit", () => {
  expect(after).toMatchSnapshot(before, { maxDiffPixels: limit });
});

test("ignore", async ({ page }) => {
  // The page shows the picture; what is masked is an element of the page.
  await page.setContent(`<body style="margin: 0"><img src="data:image/png;base64,${after.toString("base64")}">
    <div id="clock" style="position: absolute; left: 340px; top: 100px; width: 60px; height: 40px">`);
  await expect(page).toHaveScreenshot("page.png", { mask: [page.locator("#clock")] });
});

if (process.env.FOLDERS)
  for (const name of readdirSync("after"))
    test(`folders ${name}`, () => {
      expect(readFileSync(`after/${name}`)).toMatchSnapshot(["before", name]);
    });
