/**
 * A menu flow as a graph: a box for each menu, an edge for each key.
 *
 * Menus stand in columns by how many keys lead to them from the start. An edge that leads forward is a curve; one that
 * leads back, or stays in its column, runs below all boxes in a lane of its own.
 */

import { svg } from "../lib/dom.js";

const [BOX, HEAD, ROW, END] = [190, 52, 28, 34]; // a menu's width, the height of its head and of a row; of an end
const [GAP, SPACE, MARGIN, LANE] = [130, 22, 12, 14]; // between columns, between boxes, around all, between lanes
const LETTERS = 23; // that fit into a box

let graphs = 0; // each graph's arrow has an id of its own

const shorten = (text, most = LETTERS) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** The menus of transitions, by name, each with its keys: what they lead to, in words and as a menu. */
function menusOf(transitions) {
  const menus = new Map();
  for (const { menu, plays, key, leads_to, next_menu } of transitions) {
    if (!menus.has(menu)) menus.set(menu, { name: menu, detail: plays, keys: [], depth: null, isMenu: true });
    menus.get(menu).keys.push({ key, leadsTo: leads_to, target: next_menu });
  }
  for (const menu of menus.values()) for (const edge of menu.keys) edge.to = menus.get(edge.target) ?? null;
  return menus;
}

/** Say in which column each menu stands. Where only a webhook's answer leads, it stands in one of its own. */
function setDepths(menus, start) {
  const ahead = menus.has(start) ? [menus.get(start)] : [];
  if (ahead.length) ahead[0].depth = 0;
  for (const menu of ahead) {
    for (const { to } of menu.keys) {
      if (!to || to.depth !== null) continue;
      to.depth = menu.depth + 1;
      ahead.push(to);
    }
  }
  const last = Math.max(0, ...ahead.map(({ depth }) => depth));
  for (const menu of menus.values()) menu.depth ??= last + 1;
  return ahead;
}

/** All nodes, menus and what else their keys lead to, in the order of the keys, so that few edges cross. */
function nodesOf(transitions, start) {
  const menus = menusOf(transitions);
  const nodes = new Set([...setDepths(menus, start).slice(0, 1)]);
  const ends = new Map();
  for (const all of [nodes, menus.values()]) {
    for (const node of all) {
      nodes.add(node);
      for (const edge of node.keys) {
        const [name, depth] = [edge.leadsTo, node.depth + 1];
        const key = `${depth} ${name}`;
        if (!edge.to && !ends.has(key)) ends.set(key, { name, detail: "", keys: [], depth, isMenu: false });
        edge.to ??= ends.get(key);
        nodes.add(edge.to); // which is then gone through as well
      }
    }
  }
  return [...nodes];
}

/** Give each node its place. Returns how wide and how high all of them are. */
function place(nodes) {
  const bottoms = [];
  for (const node of nodes) {
    const top = bottoms[node.depth] ?? MARGIN;
    node.x = MARGIN + GAP / 2 + node.depth * (BOX + GAP);
    node.y = top;
    node.height = node.isMenu ? Math.max(HEAD, node.keys.length * ROW + SPACE) : END;
    bottoms[node.depth] = top + node.height + SPACE;
  }
  const width = Math.max(...nodes.map((node) => node.x)) + BOX + MARGIN + GAP / 4;
  return { width, height: Math.max(...bottoms.filter(Boolean)) };
}

function drawNode(node) {
  const whole = svg("title", {}, `${node.name} ${node.detail}`.trim());
  const group = svg("g", { class: node.isMenu ? "menu" : "end" }, whole);
  group.append(svg("rect", { x: node.x, y: node.y, width: BOX, height: node.height, rx: node.isMenu ? 6 : 16 }));
  const text = (at, content, kind) => svg("text", { x: node.x + 12, y: node.y + at, class: kind }, shorten(content));
  if (node.isMenu) group.append(text(22, node.name, "name"), text(41, node.detail, "detail"));
  else group.append(text(22, node.name, "detail"));
  return group;
}

/** The path of an edge from a port of a menu. `lane` is where one that leads back runs. */
function pathOf(node, y, to, lane, nth) {
  const [x, end] = [node.x + BOX, to.y + (to.isMenu ? 26 : END / 2)];
  if (to.depth > node.depth) return `M ${x} ${y} C ${x + GAP * 0.6} ${y} ${to.x - GAP * 0.4} ${end} ${to.x - 2} ${end}`;
  const [out, back] = [x + 42 + 5 * nth, to.x - 18 - 5 * nth];
  return `M ${x} ${y} H ${out} V ${lane} H ${back} V ${end + 5 * nth - 8} H ${to.x - 2}`;
}

/** The edges of all nodes as paths, the keys on them as texts, and how high all is, lanes included. */
function drawEdges(nodes, height, arrow) {
  const [paths, keys] = [[], []];
  let backward = 0;
  for (const node of nodes) {
    node.keys.forEach((edge, at) => {
      const y = node.y + ((at + 0.5) * node.height) / node.keys.length;
      const leadsBack = edge.to.depth <= node.depth;
      const d = pathOf(node, y, edge.to, height + LANE * backward, leadsBack ? backward % 4 : 0);
      backward += leadsBack ? 1 : 0;
      paths.push(svg("path", { d, class: "edge", "marker-end": `url(#${arrow})` }));
      const whole = svg("title", {}, `${edge.key}: ${edge.leadsTo}`);
      keys.push(svg("text", { x: node.x + BOX + 6, y: y - 4, class: "key" }, whole, shorten(edge.key, 14)));
    });
  }
  return { drawn: [...paths, ...keys], height: height + LANE * backward };
}

/** The graph of a flow, as SVG, from its transitions as the API tells them. */
export function menuGraph(transitions, start, label) {
  const nodes = nodesOf(transitions, start);
  const size = place(nodes);
  const id = `arrow-${(graphs += 1)}`;
  const shape = { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" };
  const marker = svg("marker", shape, svg("path", { d: "M 0 0 L 8 4 L 0 8 z", class: "arrow" }));
  const { drawn, height } = drawEdges(nodes, size.height, id);
  const { width } = size;
  const frame = { width, height, viewBox: `0 0 ${width} ${height}` };
  const attributes = { class: "graph", role: "img", "aria-label": label, ...frame };
  return svg("svg", attributes, svg("defs", {}, marker), ...drawn, ...nodes.map(drawNode));
}
