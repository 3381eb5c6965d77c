/** The folders of the prompts as a tree, of which one is chosen. */

import { button, el } from "../lib/dom.js";
import { count } from "../lib/format.js";

/** The folders by their paths, each with the number of prompts in it and in its folders. */
function foldersOf(names) {
  const folders = new Map();
  for (const name of names) {
    for (let end = name.indexOf("/"); end > 0; end = name.indexOf("/", end + 1)) {
      const folder = name.slice(0, end);
      folders.set(folder, (folders.get(folder) ?? 0) + 1);
    }
  }
  return new Map([...folders].sort(([one], [other]) => (one < other ? -1 : 1)));
}

export class PromptFolders {
  /** `onchange` is called when another folder is chosen. The tree is hidden while there are no folders. */
  constructor(onchange) {
    this.onchange = onchange;
    this.chosen = "";
    this.shown = "";
    this.buttons = new Map();
    this.element = el("nav", { class: "folders", "aria-label": "Folders", hidden: true });
  }

  /** Whether a prompt is in the chosen folder. */
  has(name) {
    return !this.chosen || name.startsWith(`${this.chosen}/`);
  }

  /** Show the folders of these prompts. */
  show(names) {
    const folders = foldersOf(names);
    if (!folders.has(this.chosen)) this.chosen = "";
    const shown = JSON.stringify([names.length, ...folders]);
    if (shown !== this.shown) this.build(names.length, folders); // else the focus stays where it is
    this.shown = shown;
    this.mark();
  }

  build(total, folders) {
    this.buttons.clear();
    const lists = new Map([["", el("ul")]]);
    for (const [folder, prompts] of folders) {
      const list = el("ul");
      lists.set(folder, list);
      const above = folder.slice(0, Math.max(0, folder.lastIndexOf("/")));
      lists.get(above).append(el("li", {}, this.entry(folder, folder.split("/").at(-1), prompts), list));
    }
    this.element.replaceChildren(this.entry("", "All prompts", total), lists.get(""));
    this.element.hidden = !folders.size;
  }

  entry(folder, label, prompts) {
    const choose = () => {
      this.chosen = folder;
      this.mark();
      this.onchange();
    };
    const made = button(`${label} (${count(prompts)})`, choose, { class: "link" });
    this.buttons.set(folder, made);
    return made;
  }

  mark() {
    for (const [folder, each] of this.buttons) each.setAttribute("aria-pressed", folder === this.chosen);
  }
}
