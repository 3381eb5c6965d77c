/** The console: which page is shown, who has signed in, and what is wrong with the server as a whole. */

import { ApiError, hasToken, signIn, signInAgain, signOut } from "./lib/api.js";
import { button, el, labelled, setText } from "./lib/dom.js";
import { endedPage } from "./pages/ended.js";
import { healthPage } from "./pages/health.js";
import { livePage } from "./pages/live.js";
import { pathsPage } from "./pages/paths.js";
import { promptsPage } from "./pages/prompts.js";
import { streamPage } from "./pages/stream.js";

// Each page is a function of the element that it fills, of the rest of its route, of `notice`, which takes an error to
// be shown, or null, and of `place`, which takes the name of the page under which it belongs, such as "ended" for a
// stream that is over. It returns a function that ends it.
const PAGES = {
  live: { title: "Live", show: livePage },
  ended: { title: "Ended", show: endedPage },
  stream: { title: "Stream", show: streamPage },
  health: { title: "Health", show: healthPage },
  paths: { title: "Paths", show: pathsPage },
  prompts: { title: "Prompts", show: promptsPage },
};

const main = document.getElementById("main");
const who = document.getElementById("who");
const noticeLine = document.getElementById("notice");
let leave = () => {};

function notice(error) {
  if (error?.status === 401) {
    askForToken("The token is not valid any more.");
    return;
  }
  if (error && !(error instanceof ApiError)) console.error(error); // a mistake of ours
  setText(noticeLine, error ? error.message : "");
  noticeLine.hidden = !error;
}

function route() {
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  return PAGES[name] ? { name, argument: decodeURIComponent(rest.join("/")) } : { name: "live", argument: "" };
}

/** Mark the link of one page as that of the current page. */
function place(name) {
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function show(focus = true) {
  leave();
  notice(null);
  const { name, argument } = route();
  const page = PAGES[name];
  document.title = `${page.title} – mediaserver`;
  place(name === "stream" ? "live" : name);
  main.replaceChildren();
  leave = page.show(main, argument, notice, place);
  if (focus) main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function greet(me) {
  who.replaceChildren();
  if (!hasToken()) return;
  const out = button("Sign out", () => {
    signOut();
    askForToken("");
  });
  who.append(el("span", { title: `It may ${me.scopes.join(", ")}.` }, me.name), " ", out);
}

function start(me, focus) {
  greet(me);
  window.onhashchange = () => show();
  show(focus);
}

function askForToken(problem) {
  leave();
  leave = () => {};
  window.onhashchange = null;
  who.replaceChildren();
  noticeLine.hidden = true;
  const field = el("input", { type: "password", autocomplete: "off", required: true });
  const wrong = el("p", { role: "alert", class: "wrong" }, problem);
  async function onsubmit(event) {
    event.preventDefault();
    try {
      start(await signIn(field.value.trim()), true);
    } catch (error) {
      setText(wrong, error.message);
      field.select();
    }
  }
  const enter = el("button", { type: "submit" }, "Sign in");
  const form = el("form", { class: "sign-in", onsubmit }, labelled("Token", field), enter, wrong);
  const about = "The token of the admin port: admin.token, or one of admin.tokens. This tab keeps it until it closes.";
  main.replaceChildren(el("h1", {}, "Sign in"), el("p", {}, about), form);
  field.focus();
}

try {
  start(await signInAgain(), false);
} catch (error) {
  if (error.status === 401) askForToken("");
  else notice(error);
}
