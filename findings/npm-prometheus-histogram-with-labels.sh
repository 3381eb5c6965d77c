#!/usr/bin/env bash
# A histogram or summary of Prometheus may have labels of its own beside "le" and "quantile": one set of buckets, sum and
# count for each engine, route or codec. One expects parse-prometheus-text-format, whose output "aims to be compatible
# with that of prom2json", to give one histogram for each set of labels, as it does of counters and gauges.
# It gives one, without labels, sum and count, and with the buckets of the set that came last: the others are gone, or,
# where the last has not all of their quantiles, mixed into it. Without further labels all is right. A line with a blank
# behind a comma ({a="x", b="y"}) raises an error. prometheus_client's parser, which it was ported from, has all right.
# Who alarms at the slow engine sees the one that was written last, as if there were no other.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts parse-prometheus-text-format@1.1.1 prom-client@15.1.3 >/dev/null
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check prometheus-client==0.22.1
cd "$T"
cat >run.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import client from 'prom-client';
import parse from 'parse-prometheus-text-format';
for (const name of ['parse-prometheus-text-format', 'prom-client']) console.log(name, JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version);
console.log('expected: two engines, each with its sum and count');
const plain = new client.Histogram({ name: 'plain', help: 'seconds', buckets: [1] });
plain.observe(0.5);
const labelled = new client.Histogram({ name: 'labelled', help: 'seconds', labelNames: ['engine'], buckets: [1] });
for (const seconds of [5, 6, 7]) labelled.observe({ engine: 'slow' }, seconds);
labelled.observe({ engine: 'fast' }, 0.2);
const text = await client.register.metrics();
fs.writeFileSync('text', text);
const [one, two] = parse(text);
console.log('seen:', JSON.stringify(one.metrics), JSON.stringify(two.metrics));
assert.deepStrictEqual(one.metrics, [{ buckets: { 1: '1', '+Inf': '1' }, sum: '0.5', count: '1' }]);
assert.deepStrictEqual(two.metrics, [{ buckets: { 1: '1', '+Inf': '1' } }]);
const summary = parse('# TYPE s summary\ns{e="a",quantile="0.5"} 1\ns{e="a",quantile="0.9"} 2\ns{e="b",quantile="0.5"} 30\n')[0].metrics;
console.log('seen:', JSON.stringify(summary));
assert.deepStrictEqual(summary, [{ quantiles: { 0.5: '30', 0.9: '2' } }]);
assert.deepStrictEqual(parse('g{e="a"} 1\ng{e="b"} 2\n')[0].metrics.length, 2);
assert.throws(() => parse('g{a="x", b="y"} 1\n'), error => console.log('seen:', error.message) === undefined);
E
node run.mjs
v/bin/python - <<'E'
from importlib.metadata import version
from prometheus_client.parser import text_string_to_metric_families
print("prometheus-client", version("prometheus-client"))
samples = [s for family in text_string_to_metric_families(open("text").read()) for s in family.samples]
counts = {s.labels["engine"]: s.value for s in samples if s.name == "labelled_count"}
print("seen: prometheus_client's parser:", counts)
assert counts == {"slow": 3, "fast": 1}
E
