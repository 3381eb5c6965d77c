/**
 * A table that is sorted by a column and filtered by a text, for thousands of entries.
 *
 * At most 200 rows are in the document. Rows are kept by their entries' keys, and only texts that differ are set, so
 * that the focus stays where it is, and an update costs no more than what has changed.
 */

import { el, setText } from "./dom.js";
import { count, counted } from "./format.js";

const MOST = 200;
const compare = new Intl.Collator("en", { numeric: true }).compare;

/**
 * A column: `key` names it, `value` gives what it is sorted and filtered by, and `text` what is shown. Without
 * `text`, `fill` puts something else into the cell of a new row, and the column is neither sorted nor filtered. A
 * `minor` column is left out where there is no room. What is in a `wrong` one needs somebody to look.
 * @typedef {{key: string, label: string, value?: Function, text?: Function, fill?: Function, number?: boolean,
 *   minor?: boolean, wrong?: boolean}} Column
 */

function classes({ number, minor, wrong }) {
  return [number && "number", minor && "minor", wrong && "wrong"].filter(Boolean).join(" ") || null;
}

export class Table {
  /**
   * `caption` says what the table is of, and `noun` what an entry is. `keyOf` gives the key of an entry. The first
   * of the `columns` heads each row: its text is set in the node that `head` makes for an entry. `onrows` gets the
   * rows, by key, each time they are rendered.
   */
  constructor({ caption, noun, keyOf, columns, head, onrows = () => {} }) {
    Object.assign(this, { noun, keyOf, columns, head, onrows });
    this.entries = [];
    this.total = 0;
    this.sorted = { key: columns[0].key, down: false };
    this.rows = new Map();
    this.frame = 0;
    this.headings = new Map(columns.map((column) => [column.key, this.heading(column)]));
    this.body = el("tbody");
    const search = { type: "search", id: "filter", autocomplete: "off", spellcheck: "false" };
    this.search = el("input", { ...search, oninput: () => this.changed() });
    this.summary = el("p", { class: "summary" });
    this.spoken = el("p", { class: "spoken", role: "status" });
    const headings = el("thead", {}, el("tr", {}, ...this.headings.values()));
    const table = el("table", {}, el("caption", { class: "spoken" }, caption), headings, this.body);
    this.element = el(
      "div",
      {},
      el("div", { class: "tools" }, el("label", { for: "filter" }, "Filter"), this.search, this.summary, this.spoken),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table),
    );
    this.mark();
  }

  heading(column) {
    const attributes = { scope: "col", class: classes({ ...column, wrong: false }) };
    if (!column.text) return el("th", attributes, column.label);
    const sort = () => {
      this.sorted = { key: column.key, down: this.sorted.key === column.key && !this.sorted.down };
      this.mark();
      this.changed();
    };
    return el("th", attributes, el("button", { type: "button", class: "sort", onclick: sort }, column.label));
  }

  mark() {
    for (const [key, heading] of this.headings) {
      if (key === this.sorted.key) heading.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
  }

  /** Show these entries from now on, of `total` that there are. */
  update(entries, total = entries.length) {
    Object.assign(this, { entries, total });
    this.frame ||= requestAnimationFrame(() => this.render());
  }

  changed() {
    this.render();
    setText(this.spoken, `${this.summary.textContent}, by ${this.sorted.key}`);
  }

  chosen() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const read = this.columns.filter((column) => column.text);
    const fits = (entry) => {
      const text = read.map((column) => column.text(entry)).join("\n").toLowerCase();
      return words.every((word) => text.includes(word) || this.keyOf(entry).includes(word));
    };
    const found = words.length ? this.entries.filter(fits) : [...this.entries];
    const { value } = this.columns.find((column) => column.key === this.sorted.key);
    const sign = this.sorted.down ? -1 : 1;
    const order = (a, b) => (a < b ? -1 : Number(a > b));
    return found.sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      const first = a === b ? 0 : sign * (typeof a === "number" ? a - b : compare(a, b));
      return first || order(this.keyOf(one), this.keyOf(other));
    });
  }

  render() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const found = this.chosen();
    const shown = found.slice(0, MOST);
    const keys = new Set(shown.map(this.keyOf));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.rows.delete(key);
    }
    shown.forEach((entry, at) => {
      const row = this.rowOf(entry);
      const present = this.body.children[at];
      if (present !== row.element) this.body.insertBefore(row.element, present ?? null);
      for (const { column, node } of row.texts) setText(node, column.text(entry));
    });
    const of = found.length === this.total ? "" : `${count(found.length)} of `;
    const hidden = found.length - MOST;
    const more = hidden > 0 ? `, of which the first ${MOST} are shown: ${count(hidden)} more` : "";
    setText(this.summary, `${of}${counted(this.total, this.noun)}${more}`);
    this.onrows(this.rows);
  }

  rowOf(entry) {
    const key = this.keyOf(entry);
    const known = this.rows.get(key);
    if (known) return known;
    const row = { key, texts: [], parts: {} };
    const cells = this.columns.map((column, at) => {
      const node = at === 0 ? this.head(entry) : el("td", { class: classes(column) });
      if (column.text) row.texts.push({ column, node });
      else row.parts[column.key] = column.fill(node, entry);
      return at === 0 ? el("th", { scope: "row" }, node) : node;
    });
    row.element = el("tr", {}, ...cells);
    this.rows.set(key, row);
    return row;
  }
}
