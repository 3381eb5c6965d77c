/** Metrics in the text format of Prometheus. */

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { n: "\n" };

/**
 * Parse the text: a map of each metric's name to its samples, as `{labels, value}`. Only names that begin with
 * `prefix` are kept.
 */
export function parseMetrics(text, prefix) {
  const found = new Map();
  for (const line of text.split("\n")) {
    const sample = line.startsWith(prefix) ? SAMPLE.exec(line) : null;
    if (!sample) continue;
    const [, name, inside = "", value] = sample;
    const labels = {};
    for (const [, key, raw] of inside.matchAll(LABEL)) {
      labels[key] = raw.replace(/\\(.)/g, (_, letter) => ESCAPED[letter] ?? letter);
    }
    if (!found.has(name)) found.set(name, []);
    found.get(name).push({ labels, value: Number(value.replace("Inf", "Infinity")) });
  }
  return found;
}

/** The value of a metric without labels; 0 where it is not there. */
export function valueOf(metrics, name) {
  return metrics.get(name)?.[0].value ?? 0;
}

/** The sums of a metric's samples by one label, without those that are 0; the largest first. */
export function sumsBy(metrics, name, label) {
  const sums = new Map();
  for (const { labels, value } of metrics.get(name) ?? []) {
    if (value) sums.set(labels[label], (sums.get(labels[label]) ?? 0) + value);
  }
  return [...sums].sort(([, one], [, other]) => other - one);
}

/** The counts of a histogram's buckets as `[upper bound, count]`, up to the last that is not empty. */
export function bucketsOf(metrics, name) {
  const cumulative = (metrics.get(`${name}_bucket`) ?? [])
    .map(({ labels, value }) => [Number(labels.le.replace("+Inf", "Infinity")), value])
    .sort(([one], [other]) => one - other);
  const counts = cumulative.map(([bound, value], at) => [bound, value - (cumulative[at - 1]?.[1] ?? 0)]);
  while (counts.length && !counts.at(-1)[1]) counts.pop();
  return counts;
}
