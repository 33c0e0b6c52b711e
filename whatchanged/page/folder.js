// Runs beside a field of Gradio for files, which takes no folders: those that are chosen or dropped are packed into zip
// archives here, without compression and each small enough for an upload, and handed to the field. Of what is no picture
// only the name goes along, so that it is told. Gradio gives `element` and `props`.
const field = () => document.getElementById(props.field);
const status = element.querySelector("[role=status]");
const chooser = element.querySelector("input");
element.querySelector("button.folder").hidden = !("webkitdirectory" in chooser);  // as on some phones

async function take(files) {
  const transfer = new DataTransfer();
  const whole = ([path]) => !path.includes("/");
  try {
    files.filter(whole).forEach(([, file]) => transfer.items.add(file));
    const folders = Map.groupBy(files.filter((one) => !whole(one)).sort(), ([path]) => path.split("/")[0]);
    for (const [name, inside] of folders) {
      status.textContent = `Reading the folder ${name} …`;
      (await packed(name, inside)).forEach((archive) => transfer.items.add(archive));
    }
  } catch (error) {
    refuse(error);
    return;
  }
  status.textContent = files.length ? "" : "The folder is empty.";
  if (!files.length) return;
  const input = field().querySelector("input[type=file]");
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function refuse(error) {
  status.textContent = `The folder was not taken: ${error.message}`;
}

async function packed(name, files) {
  const archives = [];
  let [parts, entries, size] = [[], [], 0];
  const close = () => {
    const count = two(entries.length);
    const listed = entries.reduce((sum, one) => sum + one.size, 0);
    const end = Uint8Array.of(...four(0x06054b50), ...four(0), ...count, ...count, ...four(listed), ...four(size), ...two(0));
    const number = archives.length ? ` ${archives.length + 1}` : "";
    archives.push(new File([...parts, ...entries, end], `${name}${number}.zip`, { type: "application/zip" }));
    [parts, entries, size] = [[], [], 0];
  };
  for (const [path, file] of files) {
    const seen = props.endings.some((one) => path.toLowerCase().endsWith(one));
    const body = seen ? file : new Blob();
    if (body.size > props.most) {
      throw new Error(`${path} has ${Math.ceil(body.size / 1e6)} MB, at most ${props.most / 1e6} MB are taken.`);
    }
    if (entries.length && size + body.size > props.most) close();
    const called = new TextEncoder().encode(path.normalize());
    const about = [
      ...two(20), ...two(0x0800), ...two(0), ...two(0), ...two(0x21),  // of version 2, names in UTF-8, stored, on the first day
      ...four(crc(await body.arrayBuffer())), ...four(body.size), ...four(body.size), ...two(called.length), ...two(0),
    ];
    const head = new Blob([Uint8Array.of(...four(0x04034b50), ...about), called]);
    const place = [...two(0), ...two(0), ...two(0), ...four(0), ...four(size)];
    entries.push(new Blob([Uint8Array.of(...four(0x02014b50), ...two(20), ...about, ...place), called]));
    parts.push(head, body);
    size += head.size + body.size;
  }
  close();
  return archives;
}

// The bytes of a number, the lowest first.
const two = (number) => [number & 255, (number >>> 8) & 255];
const four = (number) => [...two(number), ...two(number >>> 16)];

const table = Uint32Array.from({ length: 256 }, (_, number) => {
  for (let bit = 0; bit < 8; bit += 1) number = number & 1 ? 0xedb88320 ^ (number >>> 1) : number >>> 1;
  return number;
});
function crc(buffer) {
  let sum = 0xffffffff;
  for (const one of new Uint8Array(buffer)) sum = table[(sum ^ one) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

async function walk(entry, above, found) {
  if (entry.name.startsWith(".")) return;
  if (entry.isFile) {
    found.push([above + entry.name, await new Promise((done, failed) => entry.file(done, failed))]);
    return;
  }
  const reader = entry.createReader();
  const some = () => new Promise((done, failed) => reader.readEntries(done, failed));
  for (let part = await some(); part.length; part = await some()) {
    for (const one of part) await walk(one, `${above}${entry.name}/`, found);
  }
}

element.querySelector("button.more").addEventListener("click", () => field().querySelector("input[type=file]").click());
element.querySelector("button.folder").addEventListener("click", () => chooser.click());
chooser.addEventListener("change", () => {
  const visible = [...chooser.files].filter((file) => !file.webkitRelativePath.includes("/."));
  take(visible.map((file) => [file.webkitRelativePath, file]));
  chooser.value = "";
});
field().addEventListener("dragover", (event) => {  // also over the list of what is there, which would take none
  event.preventDefault();
  event.stopPropagation();
  event.dataTransfer.dropEffect = "copy";
}, true);
field().addEventListener("drop", async (event) => {
  const items = [...(event.dataTransfer?.items ?? [])];
  const entries = items.map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const known = event.target.closest(".upload-container") && !entries.some((entry) => entry.isDirectory);
  if (known || !entries.length) return;  // Gradio does it
  event.preventDefault();
  event.stopPropagation();
  event.target.dispatchEvent(new DragEvent("drop", { bubbles: true }));  // nothing, so that the field is no longer lit
  const found = [];
  try {
    for (const entry of entries) await walk(entry, "", found);
  } catch (error) {
    refuse(error);
    return;
  }
  take(found);
}, true);
