/** How a prompt that was chosen is changed: replaced, spoken anew, renamed, removed, or put back as it was. */

import { request } from "../lib/api.js";
import { button, el, labelled } from "../lib/dom.js";
import { confirmation, Outcome } from "../lib/outcome.js";
import { dropTarget, send, taken } from "./prompt_uploads.js";

const ended = { replaced: "replaced", removed: "removed", restored: "replaced by an older one" };

export class PromptChanges {
  /**
   * `changed` is called with the name of the prompt to be shown after a change, null for none. `removed` is the
   * outcome that tells of a prompt that is there no longer.
   */
  constructor({ limit, changed, removed, notice }) {
    Object.assign(this, { limit, changed, removed, notice });
    this.name = null;
    this.outcome = new Outcome(notice);
    this.file = el("input", { type: "file", onchange: () => this.replace([...this.file.files]) });
    this.bar = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Upload" });
    this.text = el("input", { type: "text" });
    this.to = el("input", { type: "text", spellcheck: "false" });
    this.versions = el("tbody");
    this.none = el("p", { class: "dim" }, "There are no old versions.");
    this.table = el(
      "table",
      {},
      el("caption", { class: "spoken" }, "Old versions"),
      el("thead", {}, el("tr", {}, ...["Until", "Seconds", "By", ""].map((each) => el("th", { scope: "col" }, each)))),
      this.versions,
    );
    this.sure = confirmation("Remove this prompt? Its history keeps it.", "Remove", () => this.remove());
    this.element = el(
      "div",
      { class: "changes" },
      el("h3", {}, "Change it"),
      el("div", { class: "tools" }, labelled("Replace by a file", this.file), this.bar),
      el("div", { class: "tools" }, labelled("Say instead", this.text), button("Say", () => this.say())),
      el("div", { class: "tools" }, labelled("New name", this.to), button("Rename", () => this.rename())),
      el("div", { class: "tools" }, button("Remove…", () => this.sure.showModal(), { class: "danger" })),
      this.sure,
      this.outcome.element,
      el("h3", {}, "Old versions"),
      this.none,
      el("div", { class: "scroll" }, this.table),
    );
    dropTarget(this.element, (files) => this.replace(files));
  }

  /** Offer changes of a prompt. */
  async show(name) {
    if (name !== this.name) this.outcome.tell("");
    this.name = name;
    this.to.value = name;
    this.text.value = "";
    let versions = [];
    try {
      ({ versions } = await request("GET", `/v1/prompts/${name}/history`));
    } catch (error) {
      this.notice(error);
    }
    if (name !== this.name) return;
    this.versions.replaceChildren(...versions.map((version) => this.row(name, version)));
    this.none.hidden = versions.length > 0;
    this.table.parentNode.hidden = !versions.length;
  }

  row(name, version) {
    const until = new Date(version.until).toLocaleString();
    const about = `${ended[version.change] ?? version.change} by ${version.by}, ${version.type}, ${version.bytes} bytes`;
    const restore = button("Restore", () => this.restore(name, version), { "aria-label": `Restore, until ${until}` });
    return el(
      "tr",
      { title: about },
      el("th", { scope: "row" }, until),
      el("td", { class: "number" }, version.duration_s?.toFixed(2) ?? "–"),
      el("td", {}, version.by),
      el("td", {}, restore),
    );
  }

  /** Do something to the prompt, then show the prompt `shown`. Where a path needs the prompt, offer to do it anyway. */
  async act(work, shown, label) {
    const error = await this.outcome.run(() => work({}));
    if (!error) {
      this.name = shown; // so that what was told stays
      await this.changed(shown);
    } else if (error.status === 409 && label) {
      const anyway = button(label, () => this.act(() => work({ force: "true" }), shown), { class: "danger" });
      this.outcome.tell(error.message, true, anyway);
    }
  }

  async replace([file]) {
    if (!file) return;
    const [name, limit, bar] = [this.name, this.limit(), this.bar];
    const type = /\.([^.]+)$/.exec(file.name)?.[1];
    const query = type ? { type } : {};
    this.outcome.tell(`${file.name} is sent and checked.`);
    await this.act(() => send(`/v1/prompts/${name}`, { query, file, limit, bar }), name);
    this.file.value = "";
  }

  async say() {
    const [name, say] = [this.name, this.text.value];
    if (!say.trim()) return;
    this.outcome.tell("The text is spoken.");
    await this.act(async () => taken(await request("POST", `/v1/prompts/${name}/say`, { body: { say } })), name);
  }

  async rename() {
    const [name, to] = [this.name, this.to.value.trim()];
    if (!to || to === name) return;
    const work = async (query) => {
      await request("POST", `/v1/prompts/${name}/rename`, { query, body: { to } });
      return `${name} is ${to} now.`;
    };
    await this.act(work, to, "Rename anyway");
  }

  async remove() {
    const name = this.name;
    const work = async (query) => {
      await request("DELETE", `/v1/prompts/${name}`, { query });
      this.removed.tell(`${name} is removed.`, false, button("Undo", () => this.undo(name)));
      return "";
    };
    await this.act(work, null, "Remove anyway");
  }

  /** Put back a prompt that was removed. */
  async undo(name) {
    const work = async () => {
      const { versions } = await request("GET", `/v1/prompts/${name}/history`);
      const path = `/v1/prompts/${name}/history/${versions[0]?.version}/restore`;
      return taken(await request("POST", path));
    };
    if (!(await this.removed.run(work))) await this.changed(name);
  }

  async restore(name, { version }) {
    const path = `/v1/prompts/${name}/history/${version}/restore`;
    await this.act(async () => taken(await request("POST", path)), name);
  }
}
