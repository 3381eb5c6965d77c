/** What has become of an action, in a line below its buttons, and a question before one that needs it. */

import { ApiError } from "./api.js";
import { button, el, setText } from "./dom.js";

/** A line that tells how an action went, and is read aloud. `notice` gets errors that concern the whole page. */
export class Outcome {
  constructor(notice) {
    this.notice = notice;
    this.text = el("span");
    this.more = el("span");
    this.element = el("p", { class: "result", role: "status" }, this.text, " ", this.more);
  }

  /** Say something, with buttons that go on from there. */
  tell(text, wrong = false, ...buttons) {
    this.element.classList.toggle("wrong", wrong);
    setText(this.text, text);
    this.more.replaceChildren(...buttons);
  }

  /** Do something that returns what there is to tell. An error is told as the API tells it, and returned. */
  async run(work) {
    try {
      this.tell(await work());
      return null;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 401) this.notice(error);
      this.tell(error.message, true);
      return error;
    }
  }
}

/** A question that must be answered before something is done. */
export function confirmation(question, yes, onyes) {
  const close = () => dialog.close();
  const sure = () => {
    close();
    onyes();
  };
  const answers = [button("Cancel", close), button(yes, sure, { class: "danger" })];
  const row = el("div", { class: "tools" }, ...answers);
  const dialog = el("dialog", { "aria-label": question }, el("p", {}, question), row);
  return dialog;
}
