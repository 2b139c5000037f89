// Runs the scenarios between ours and every release of the official library.
//   node interop.mjs --ours PROGRAM --modules DIRECTORY [--messages N] [--version V]... [--seed S]
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Device } from './device.mjs';
import { randomFrom } from './network.mjs';
import { PeerProcess } from './peer_process.mjs';
import * as scenarios from './scenarios.mjs';

const { values: options } = parseArgs({
  options: {
    ours: { type: 'string' },
    modules: { type: 'string' },
    messages: { type: 'string', default: '1000' },
    version: { type: 'string', multiple: true },
    seed: { type: 'string' },
  },
});
const messages = Number(options.messages);
const seed = Number(options.seed ?? Math.floor(Math.random() * 1e9));

// The releases that every test talks to: one for each step of the protocol.
const releases = ['0.22.0', '0.72.1', '0.88.3', '0.103.0'];

// Which of our dialects a release shares. Only the last is the product's; the rest keep us honest
// about the steps that led there.
function dialectsOf(version) {
  const minor = minorOf(version);
  if (minor < 30) return [3];
  if (minor < 73) return [3, 4];
  if (minor < 80) return [4];
  return minor < 90 ? [4, '4-spqr'] : ['4-spqr'];
}
const minorOf = (version) => Number(version.split('.')[1]);
// Before, it sealed for many with a key derivation that it has given up.
const sealsForMany = (version) => minorOf(version) >= 39;

let failures = 0;
const started = Date.now();

// All scenarios run side by side: an answer that one waits for is work for the programs meanwhile.
// Each has dice of its own, so that a seed plays the same whoever is faster.
async function run(title, work) {
  try {
    console.log(`ok    ${title}: ${await work(randomFrom(seed + hashOf(title)))}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  ${title}: ${error.stack}\n      repeat with: --seed ${seed}`);
  }
}

const hashOf = (text) =>
  [...text].reduce((hash, c) => (Math.imul(hash, 31) + c.charCodeAt(0)) >>> 0, 7);

async function against(version) {
  const ours = new PeerProcess(options.ours, []);
  const theirs = new PeerProcess(process.execPath, [
    join(fileURLToPath(new URL('.', import.meta.url)), 'official_peer.mjs'),
    join(options.modules, `libsignal-${version}`),
  ]);
  const few = Math.max(5, Math.floor(messages / 50));
  const pair = async (fields) => [await Device.make(ours, fields), await Device.make(theirs)];
  const runs = [];
  const each = (what, work) =>
    runs.push(run(`${version} ${what}`, async (random) => work(random, ...(await pair()))));
  each('signatures', (random, us, them) => scenarios.signatures(us, them, few, random));
  each('fingerprints', (random, us, them) => scenarios.fingerprints(us, them, few));
  each('groups', (random, us, them) => scenarios.group(us, them, messages, random));
  if (dialectsOf(version).some((dialect) => dialect !== '4-spqr')) {
    runs.push(
      run(`${version} first message to our product`, async () =>
        scenarios.olderPeer(...(await pair({ protocol: 'product' }))),
      ),
    );
  }
  for (const protocol of dialectsOf(version)) {
    const make = (program, fields) => Device.make(program, { protocol, ...fields });
    const both = async () => [await make(ours), await make(theirs)];
    const say = (what, work) => runs.push(run(`${version} protocol ${protocol}, ${what}`, work));
    const starts = {
      'ours starts': [[0, 1]],
      'theirs starts': [[1, 0]],
      'both start': [
        [0, 1],
        [1, 0],
      ],
    };
    for (const [who, order] of Object.entries(starts)) {
      say(who, async (random) => {
        const two = await both();
        const starters = order.map(([x, y]) => [two[x], two[y]]);
        return scenarios.conversation(...two, starters, messages, random);
      });
    }
    say('sealed for one', async (random) =>
      scenarios.sealedSender(...(await both()), 1, few, random),
    );
    if (sealsForMany(version)) {
      say('sealed for many', async (random) =>
        scenarios.sealedSender(...(await both()), 2, few, random),
      );
    }
    say('changed identity', () => scenarios.changedIdentity(ours, theirs, make));
    say('exported state', async () => scenarios.exportedState(...(await both())));
  }
  await Promise.all(runs);
  ours.stop();
  theirs.stop();
}

console.log(`interop: seed ${seed}, ${messages} messages each way`);
await Promise.all((options.version ?? releases).map(against));
console.log(
  `interop: ${failures === 0 ? 'all passed' : `${failures} failed`} in ${(
    (Date.now() - started) /
    1000
  ).toFixed(0)} s, seed ${seed}`,
);
process.exit(failures === 0 ? 0 : 1);
