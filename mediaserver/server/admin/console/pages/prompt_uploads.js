/** How prompts are added: by files that are dropped or chosen, and by texts that are spoken. */

import { ApiError, request, upload } from "../lib/api.js";
import { button, el, labelled } from "../lib/dom.js";
import { Outcome } from "../lib/outcome.js";

const MOST = 20; // files of which the page tells what has become of them

/** What there is to tell of a prompt that the server has taken in. */
export function taken({ name, duration_s: seconds, level_dbov: level, warnings }) {
  const loudness = level === null ? "" : `, ${level.toFixed(1)} dBov`;
  return [`${name}: ${seconds.toFixed(2)} s${loudness}`, ...warnings].join("; ");
}

/** Upload a file of at most `limit` bytes, with a bar of its progress. Returns what there is to tell. */
export async function send(path, { query, file, limit, bar }) {
  // The server would refuse it as well, but may close the connection before the browser has read why.
  if (file.size > limit) throw new ApiError(413, `the file is larger than prompts.upload_limit, ${limit} bytes`);
  bar.hidden = false;
  try {
    return taken(await upload(path, { query, file, onprogress: (share) => (bar.value = share) }));
  } finally {
    bar.hidden = true;
  }
}

/** Have files that are dropped onto an element given to `onfiles`. */
export function dropTarget(element, onfiles) {
  const over = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    element.classList.add("over");
  };
  element.classList.add("drop");
  element.addEventListener("dragenter", over);
  element.addEventListener("dragover", over);
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    onfiles([...event.dataTransfer.files]);
  });
}

/** The panel to add prompts. `changed` is called after each change; `limit` gives the most bytes of a file. */
export function promptUploads({ limit, changed, notice }) {
  const folder = el("input", { type: "text", placeholder: "none", spellcheck: "false" });
  const chosen = el("input", { type: "file", multiple: true });
  const lines = el("ul", { class: "uploads" });
  let queue = Promise.resolve();

  function add(files) {
    const into = folder.value.trim().replace(/^\/+|\/+$/g, "");
    for (const file of files) {
      const bar = el("progress", { max: 1, value: 0, hidden: true, "aria-label": `Upload of ${file.name}` });
      const outcome = new Outcome(notice);
      outcome.tell(`${file.name} waits.`);
      lines.prepend(el("li", {}, bar, outcome.element));
      if (lines.children.length > MOST) lines.lastChild.remove();
      const path = `/v1/prompts/${into ? `${into}/` : ""}${file.name}`;
      queue = queue.then(async () => {
        outcome.tell(`${file.name} is sent and checked.`);
        const error = await outcome.run(() => send(path, { file, limit: limit(), bar }));
        if (error) outcome.tell(`${file.name}: ${error.message}`, true);
        else await changed().catch(notice);
      });
    }
  }

  chosen.addEventListener("change", () => {
    add([...chosen.files]);
    chosen.value = "";
  });
  const name = el("input", { type: "text", spellcheck: "false" });
  const text = el("input", { type: "text" });
  const said = new Outcome(notice);
  async function say() {
    if (!name.value.trim() || !text.value.trim()) return;
    said.tell("The text is spoken.");
    const path = `/v1/prompts/${name.value.trim()}/say`;
    const speak = () => request("POST", path, { body: { say: text.value } });
    if (!(await said.run(async () => taken(await speak())))) await changed().catch(notice);
  }
  text.addEventListener("keydown", (event) => event.key === "Enter" && say());
  const element = el(
    "section",
    { "aria-label": "Add prompts" },
    el("h2", {}, "Add prompts"),
    el("p", {}, "Drop sound files here, or choose them. hold.wav becomes the prompt hold, or replaces it."),
    el("div", { class: "tools" }, labelled("Files", chosen), labelled("Into the folder", folder)),
    lines,
    el("div", { class: "tools" }, labelled("Name", name), labelled("Text", text), button("Say into a prompt", say)),
    said.element,
  );
  dropTarget(element, add);
  return element;
}
