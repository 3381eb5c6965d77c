#!/usr/bin/env bash
# Asterisk's manager interface (AMI) repeats a header where it has several values: "Output:"
# for each line of a command's answer, since Asterisk 14, and "ChanVariable:" for each
# channel variable that manager.conf names. One expects an AMI client to give all of them.
# asterisk-ami-client keeps the last one only: of a command's answer the last line, of the
# variables the last. asterisk-manager gives all. The list of channels, or of registered
# phones, is its closing line ("2 active channels"), and a call's tenant or language is
# missing as soon as a second variable is configured behind it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts asterisk-ami-client@1.1.5 asterisk-manager@0.2.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert'), net = require('net'), { once } = require('events');
const Client = require('asterisk-ami-client'), Manager = require('asterisk-manager');
for (const name of ['asterisk-ami-client', 'asterisk-manager']) console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('expected: three lines of output, two variables');
const answers = {
  login: ['Response: Success', 'Message: Authentication accepted'],
  command: ['Response: Success', 'Message: Command output follows', 'Output: PJSIP/alice-00000001', 'Output: PJSIP/bob-00000002', 'Output: 2 active channels'],
};
const event = ['Event: Newchannel', 'Privilege: call,all', 'Channel: PJSIP/alice-00000001', 'ChanVariable: TENANT=7', 'ChanVariable: LANG=de'];
const text = lines => lines.join('\r\n') + '\r\n\r\n';
const server = net.createServer(socket => {
  let read = '';
  socket.write('Asterisk Call Manager/9.0.0\r\n');
  socket.on('error', () => {}).on('data', data => {
    read += data;
    for (let end; (end = read.indexOf('\r\n\r\n')) >= 0; read = read.slice(end + 4)) {
      const get = name => (new RegExp(`^${name}: *(.*?)\\r?$`, 'im').exec(read.slice(0, end)) || [])[1];
      const action = get('action').toLowerCase(), [first, ...rest] = answers[action] || ['Response: Success'];
      socket.write(text([first, ...(get('actionid') ? [`ActionID: ${get('actionid')}`] : []), ...rest]));
      if (action === 'command') socket.write(text(event));
    }
  });
});
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  const client = new Client();
  await client.connect('user', 'secret', { host: '127.0.0.1', port });
  const heard = new Promise(done => client.on('event', e => e.Event === 'Newchannel' && done(e)));
  const answered = new Promise(done => client.on('response', r => r.ActionID === '7' && done(r)));
  client.action({ Action: 'Command', Command: 'core show channels', ActionID: '7' });
  const a = [(await answered).Output, (await heard).ChanVariable];
  const manager = new Manager(port, '127.0.0.1', 'user', 'secret', true);
  await once(manager, 'connect');
  const rang = once(manager, 'newchannel');
  const output = await new Promise((done, fail) => manager.action({ action: 'command', command: 'core show channels' }, (e, r) => e ? fail(e) : done(r.output)));
  const b = [output, (await rang)[0].chanvariable];
  console.log('seen: asterisk-ami-client', JSON.stringify(a));
  console.log('seen: asterisk-manager', JSON.stringify(b));
  assert.deepStrictEqual(a, ['2 active channels', 'LANG=de']);
  assert.deepStrictEqual(b, [['PJSIP/alice-00000001', 'PJSIP/bob-00000002', '2 active channels'], { TENANT: '7', LANG: 'de' }]);
  process.exit();
});
setTimeout(() => { console.error('no answer'); process.exit(1); }, 20000);
E
