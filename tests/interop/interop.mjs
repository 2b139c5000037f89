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

// Which of our dialects each release shares. Only the last is the product's; the rest keep us
// honest about the steps that led there.
const dialects = {
  '0.22.0': [3],
  '0.72.1': [3, 4],
  '0.88.3': [4, '4-spqr'],
  '0.103.0': ['4-spqr'],
};
// 0.22.0 seals for many with a key derivation that libsignal gave up in 2023.
const sealsForMany = (version) => version !== '0.22.0';

let failures = 0;
const started = Date.now();

async function run(title, work) {
  const from = Date.now();
  try {
    const result = await work();
    console.log(`ok    ${title}: ${result} (${((Date.now() - from) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  ${title}: ${error.stack}\n      repeat with: --seed ${seed}`);
  }
}

async function against(version) {
  const ours = new PeerProcess(options.ours, []);
  const theirs = new PeerProcess(process.execPath, [
    join(fileURLToPath(new URL('.', import.meta.url)), 'official_peer.mjs'),
    join(options.modules, `libsignal-${version}`),
  ]);
  const random = randomFrom(seed);
  const [us, them] = [await Device.make(ours), await Device.make(theirs)];
  const few = Math.max(5, Math.floor(messages / 50));
  await run(`${version} signatures`, () => scenarios.signatures(us, them, few, random));
  await run(`${version} fingerprints`, () => scenarios.fingerprints(us, them, few));
  await run(`${version} groups`, () => scenarios.group(us, them, messages, random));
  if (version !== '0.103.0') {
    await run(`${version} first message to our product`, async () =>
      scenarios.olderPeer(
        await Device.make(ours, { protocol: 'product' }),
        await Device.make(theirs),
      ),
    );
  }
  for (const protocol of dialects[version]) {
    const make = (program, fields) => Device.make(program, { protocol, ...fields });
    const pair = async () => [await make(ours), await make(theirs)];
    const say = (what) => `${version} protocol ${protocol}, ${what}`;
    const starts = {
      'ours starts': [[0, 1]],
      'theirs starts': [[1, 0]],
      'both start': [
        [0, 1],
        [1, 0],
      ],
    };
    for (const [who, order] of Object.entries(starts)) {
      await run(say(who), async () => {
        const both = await pair();
        return scenarios.conversation(
          ...both,
          order.map(([x, y]) => [both[x], both[y]]),
          messages,
          random,
        );
      });
    }
    await run(say('sealed for one'), async () =>
      scenarios.sealedSender(...(await pair()), 1, few, random),
    );
    if (sealsForMany(version)) {
      await run(say('sealed for many'), async () =>
        scenarios.sealedSender(...(await pair()), 2, few, random),
      );
    }
    await run(say('changed identity'), () => scenarios.changedIdentity(ours, theirs, make));
    await run(say('exported state'), async () => scenarios.exportedState(...(await pair())));
  }
  ours.stop();
  theirs.stop();
}

console.log(`interop: seed ${seed}, ${messages} messages each way`);
for (const version of options.version ?? Object.keys(dialects)) await against(version);
console.log(
  `interop: ${failures === 0 ? 'all passed' : `${failures} failed`} in ${(
    (Date.now() - started) /
    1000
  ).toFixed(0)} s, seed ${seed}`,
);
process.exit(failures === 0 ? 0 : 1);
