// How Playwright compares the pairs of wishes.py: with the Chromium that CHROMIUM names, the before picture as snapshot.
export default {
  testDir: ".",
  outputDir: "test-results",
  snapshotPathTemplate: "{arg}{ext}",
  reporter: [["line"], ["html", { open: "never", outputFolder: "playwright-report" }]],
  use: {
    viewport: { width: 480, height: 360 },
    launchOptions: { executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] },
  },
};
