#!/usr/bin/env bash
# A dialer must not ring before eight in the morning where the callee is. One expects "IANA
# timezones of phone numbers" to be, for a landline in Phoenix, America/Phoenix.
# phone-number-timezone asks a table of American zones by abbreviation first, and takes each
# MST for Denver, each CST for Chicago and each EST for New York: Arizona and Saskatchewan are
# an hour off all summer, the Dominican Republic all winter, and Oregon, on Denver's time, all
# year. Google's data (libphonenumber-geo-carrier), which it brings along and asks for the rest
# of the world, has them right. New York and Denver are right, so that a test with those never
# shows it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts phone-number-timezone@1.0.0 phone-number-to-timezone@1.0.8 libphonenumber-geo-carrier@1.2.13 libphonenumber-js@1.12.31 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { phoneNumberTimezone } = require('phone-number-timezone');
const { timezones } = require('libphonenumber-geo-carrier'), { parsePhoneNumber } = require('libphonenumber-js');
for (const name of ['phone-number-timezone', 'libphonenumber-geo-carrier']) console.log(name, require(`./node_modules/${name}/package.json`).version);
const hour = (timeZone, day) => new Intl.DateTimeFormat('en', { timeZone, hour: 'numeric', hourCycle: 'h23' }).format(new Date(`${day}T15:30:00Z`));
const numbers = { Phoenix: '+16022345678', Saskatchewan: '+13062345678', Oregon: '+15412345678', 'Dominican Republic': '+18492345678', 'New York': '+12122345678', Denver: '+13032345678' };
const seen = {};
(async () => {
  for (const [place, number] of Object.entries(numbers)) {
    const right = (await timezones(parsePhoneNumber(number)))[0], zone = await phoneNumberTimezone(number);
    const off = ['2024-01-15', '2024-07-15'].map(day => hour(zone, day) - hour(right, day));
    console.log(`${place}: expected ${right}, seen ${zone}; hours off in January and July: ${off}`);
    seen[place] = [right, zone, ...off];
  }
  assert.deepStrictEqual(seen, {
    Phoenix: ['America/Phoenix', 'America/Denver', 0, 1],
    Saskatchewan: ['America/Regina', 'America/Chicago', 0, 1],
    Oregon: ['America/Los_Angeles', 'America/Denver', 1, 1],
    'Dominican Republic': ['America/Santo_Domingo', 'America/New_York', -1, 0],
    'New York': ['America/New_York', 'America/New_York', 0, 0],
    Denver: ['America/Denver', 'America/Denver', 0, 0],
  });
})();
E
