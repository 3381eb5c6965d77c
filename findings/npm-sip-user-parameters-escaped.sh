#!/usr/bin/env bash
# A telephone number in a SIP URI keeps its parameters in the user part: extension,
# phone-context, and the routing number of a ported number (RFC 3261, 19.1.6; RFC 4694).
# There ";" and "=" separate them, and by 19.1.4 "%3B" is NOT the same as ";". One expects a
# SIP library that reads such a URI and writes it again to leave them as they are. JsSIP and
# SIP.js write "%3B" and "%3D": a gateway gets one long user name for the number,
# "+12015550123;npdi;rn=+12015550100" with escapes, and the call fails, or goes to the
# network that the number has left. The npm package sip has it right. It shows only where a
# call is passed on, with Refer-To, Diversion or Contact from a PBX.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts jssip@3.13.8 sip.js@0.21.2 sip@0.0.6 >/dev/null
cd "$T"
cat >run.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import JsSIP from 'jssip';
import sip from 'sip';
import { Grammar } from 'sip.js/lib/grammar/grammar.js';
for (const name of ['jssip', 'sip.js', 'sip']) console.log(name, JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version);
console.log('expected: the URI as it came');
for (const [uri, told] of [
  ['sip:+12015550123;ext=7@gw.example;user=phone', 'sip:+12015550123%3Bext%3D7@gw.example;user=phone'],
  ['sip:5550123;phone-context=+1201@gw.example;user=phone', 'sip:5550123%3Bphone-context%3D+1201@gw.example;user=phone'],
  ['sip:+12015550123;npdi;rn=+12015550100@gw.example;user=phone', 'sip:+12015550123%3Bnpdi%3Brn%3D+12015550100@gw.example;user=phone'],
  ['sip:+12015550123@gw.example;user=phone', 'sip:+12015550123@gw.example;user=phone']]) {
  const a = JsSIP.URI.parse(uri).toString(), b = Grammar.URIParse(uri).toString(), c = sip.stringifyUri(sip.parseUri(uri));
  console.log(`seen: ${uri}\n  JsSIP  ${a}\n  SIP.js ${b}\n  sip    ${c}`);
  assert.deepStrictEqual([a, b, c], [told, told, uri]);
}
E
node run.mjs
