#!/usr/bin/env bash
# Asterisk begins an AGI session with lines "agi_name: value". A value may have colons in it:
# agi_request is the URL of the script, and agi_arg_1 and on are what the dialplan hands over, a
# SIP URI, an address of a recording or a time. One expects an AGI server to give the values whole.
# ding-dong splits each line at all colons and keeps what is before the second: the URL is
# "agi", "sip:100@pbx" is "sip", "09:30" is "09". Python's panoramisk gives them whole. Numbers,
# names and channels have no colon, so that a test with those never shows it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ding-dong@0.1.7 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert'), net = require('net');
const AGIServer = require('ding-dong');
console.log('ding-dong', require('./node_modules/ding-dong/package.json').version);
const sent = { agi_request: 'agi://127.0.0.1/menu?day=1', agi_channel: 'PJSIP/100-00000001', agi_arg_1: 'sip:100@pbx', agi_arg_2: '09:30', agi_arg_3: 'hello' };
const seen = new Promise(done => {
  const server = new AGIServer(context => context.onEvent('variables').then(done)).start(0, '127.0.0.1');
  server.on('listening', () => net.connect(server.address().port, '127.0.0.1').write(Object.entries(sent).map(([k, v]) => `${k}: ${v}\n`).join('') + '\n'));
});
seen.then(({ ...variables }) => {
  delete variables[''];
  for (const name in sent) console.log(`${name}: expected ${sent[name]}, seen ${variables[name]}`);
  assert.deepStrictEqual(variables, { ...sent, agi_request: 'agi', agi_arg_1: 'sip', agi_arg_2: '09' });
  process.exit();
});
setTimeout(() => { console.error('no answer'); process.exit(1); }, 20000);
E
