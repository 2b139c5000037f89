// Times @signalapp/libsignal-client in this process: the rows of e2e_bench.cc, in the same way.
//   node e2e_official.mjs PACKAGE_DIRECTORY
// Every operation loads a serialised record and stores it again, as the library's clients do.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const directory = process.argv[2];
const { main } = JSON.parse(readFileSync(join(directory, 'package.json')));
const L = await import(pathToFileURL(resolve(directory, main)).href);
const rounds = 15;
const batch = 100;

async function row(name, prepare, operation) {
  const times = [];
  for (let round = 0; round <= rounds; ++round) {
    await prepare();
    const from = process.cpuUsage();
    for (let i = 0; i < batch; ++i) await operation(i);
    const { user, system } = process.cpuUsage(from);
    if (round > 0) times.push((1000 * (user + system)) / batch);
  }
  times.sort((a, b) => a - b);
  console.log(`${name}\t${times[rounds >> 1].toFixed(0)}`);
}

const at = (address) => address.name();
function mapStore(Base, kind, parse) {
  const records = new Map();
  const store = new (class extends Base {})();
  store[`save${kind}`] = async (id, record) => {
    records.set(id, record.serialize());
  };
  store[`get${kind}`] = async (id) => parse(records.get(id));
  store[`remove${kind}`] = async (id) => {
    records.delete(id);
  };
  store[`mark${kind}Used`] = async () => {};
  return store;
}

class Device {
  constructor(name) {
    this.address = L.ProtocolAddress.new(name, 1);
    this.own = L.PrivateKey.generate();
    this.next = 1;
    const [sessions, identities, senderKeys, own] = [new Map(), new Map(), new Map(), this.own];
    this.sessions = new (class extends L.SessionStore {
      async saveSession(address, record) {
        sessions.set(at(address), record.serialize());
      }
      async getSession(address) {
        const bytes = sessions.get(at(address));
        return bytes ? L.SessionRecord.deserialize(bytes) : null;
      }
    })();
    this.identities = new (class extends L.IdentityKeyStore {
      async getIdentityKey() {
        return own;
      }
      async getLocalRegistrationId() {
        return 5;
      }
      async saveIdentity(address, key) {
        identities.set(at(address), key);
        return 0;
      }
      async isTrustedIdentity() {
        return true;
      }
      async getIdentity(address) {
        return identities.get(at(address)) ?? null;
      }
    })();
    this.senderKeys = new (class extends L.SenderKeyStore {
      async saveSenderKey(address, id, record) {
        senderKeys.set(at(address) + id, record.serialize());
      }
      async getSenderKey(address, id) {
        const bytes = senderKeys.get(at(address) + id);
        return bytes ? L.SenderKeyRecord.deserialize(bytes) : null;
      }
    })();
    this.preKeys = mapStore(L.PreKeyStore, 'PreKey', (b) => L.PreKeyRecord.deserialize(b));
    this.signedPreKeys = mapStore(L.SignedPreKeyStore, 'SignedPreKey', (b) =>
      L.SignedPreKeyRecord.deserialize(b),
    );
    this.kyberPreKeys = mapStore(L.KyberPreKeyStore, 'KyberPreKey', (b) =>
      L.KyberPreKeyRecord.deserialize(b),
    );
  }
  async bundle() {
    const id = this.next++;
    const [oneTime, signed, kem] = [
      L.PrivateKey.generate(),
      L.PrivateKey.generate(),
      L.KEMKeyPair.generate(),
    ];
    const sign = (key) => this.own.sign(key.serialize());
    const [signature, kemSignature] = [sign(signed.getPublicKey()), sign(kem.getPublicKey())];
    await this.preKeys.savePreKey(id, L.PreKeyRecord.new(id, oneTime.getPublicKey(), oneTime));
    await this.signedPreKeys.saveSignedPreKey(
      id,
      L.SignedPreKeyRecord.new(id, 0, signed.getPublicKey(), signed, signature),
    );
    await this.kyberPreKeys.saveKyberPreKey(id, L.KyberPreKeyRecord.new(id, 0, kem, kemSignature));
    return L.PreKeyBundle.new(
      5,
      1,
      id,
      oneTime.getPublicKey(),
      id,
      signed.getPublicKey(),
      signature,
      this.own.getPublicKey(),
      id,
      kem.getPublicKey(),
      kemSignature,
    );
  }
  process(address, bundle) {
    return L.processPreKeyBundle(bundle, address, this.address, this.sessions, this.identities);
  }
  async encrypt(address, text) {
    const sent = await L.signalEncrypt(text, address, this.address, this.sessions, this.identities);
    return { type: sent.type(), bytes: sent.serialize() };
  }
  decrypt(address, { type, bytes }) {
    return type === L.CiphertextMessageType.PreKey
      ? L.signalDecryptPreKey(
          L.PreKeySignalMessage.deserialize(bytes),
          address,
          this.address,
          this.sessions,
          this.identities,
          this.preKeys,
          this.signedPreKeys,
          this.kyberPreKeys,
        )
      : L.signalDecrypt(
          L.SignalMessage.deserialize(bytes),
          address,
          this.address,
          this.sessions,
          this.identities,
        );
  }
}

const [aliceName, bobName] = [
  '9d0652a3-dcc3-4d11-975f-74d61598733f',
  '6838237d-02f6-4098-b110-698253d15961',
];
let [alice, bob] = [new Device(aliceName), new Device(bobName)];
const [aliceAt, bobAt] = [alice.address, bob.address];
const numbered = (i) =>
  L.ProtocolAddress.new(`00000000-0000-4000-8000-${String(i).padStart(12, '0')}`, 1);
const nothing = async () => {};
let text = new Uint8Array(64);
let sent = [];

// What a call costs that does next to nothing, to be kept in mind with every row below.
const key = alice.own.getPublicKey();
await row('(one plain call)', nothing, async () => {
  key.serialize();
});
await row('(one call with one store access)', nothing, async () => {
  await L.SenderKeyDistributionMessage.create(aliceAt, aliceName, alice.senderKeys);
});

let bundles = [];
async function makeBundles() {
  bundles = [];
  [alice, bob] = [new Device(aliceName), new Device(bobName)];
  for (let i = 0; i < batch; ++i) bundles.push(await bob.bundle());
}
await row('open a session', makeBundles, (i) => alice.process(numbered(i), bundles[i]));
await row(
  'read a first message',
  async () => {
    await makeBundles();
    sent = [];
    for (let i = 0; i < batch; ++i) {
      const stranger = new Device(at(numbered(i)));
      await stranger.process(bobAt, bundles[i]);
      sent.push(await stranger.encrypt(bobAt, text));
    }
  },
  (i) => bob.decrypt(numbered(i), sent[i]),
);

async function turn(from, to) {
  await to.decrypt(from.address, await from.encrypt(to.address, text));
}
async function encryptBatch() {
  sent = [];
  for (let i = 0; i < batch; ++i) sent.push(await alice.encrypt(bobAt, text));
}
async function connect() {
  [alice, bob] = [new Device(aliceName), new Device(bobName)];
  await alice.process(bobAt, await bob.bundle());
  await turn(alice, bob);
  await turn(bob, alice);
}
for (const [size, label] of [
  [64, '64 B'],
  [1024, '1 KiB'],
]) {
  text = new Uint8Array(size);
  await connect();
  await row(`encrypt ${label}`, nothing, () => alice.encrypt(bobAt, text));
  await connect();
  await row(`decrypt ${label}`, encryptBatch, (i) => bob.decrypt(aliceAt, sent[i]));
}
text = new Uint8Array(64);
await row('decrypt 64 B, backwards', encryptBatch, (i) =>
  bob.decrypt(aliceAt, sent[batch - 1 - i]),
);
await row('send and answer, 64 B', nothing, async () => {
  await turn(alice, bob);
  await turn(bob, alice);
});

let group;
async function tell() {
  group = randomUUID();
  const told = await L.SenderKeyDistributionMessage.create(aliceAt, group, alice.senderKeys);
  await L.processSenderKeyDistributionMessage(aliceAt, told, bob.senderKeys);
}
const groupEncrypt = async () =>
  (await L.groupEncrypt(aliceAt, group, alice.senderKeys, text)).serialize();
for (const [size, label] of [
  [64, '64 B'],
  [1024, '1 KiB'],
]) {
  text = new Uint8Array(size);
  await tell();
  await row(`group encrypt ${label}`, nothing, groupEncrypt);
  await tell();
  await row(
    `group decrypt ${label}`,
    async () => {
      sent = [];
      for (let i = 0; i < batch; ++i) sent.push(await groupEncrypt());
    },
    (i) => L.groupDecrypt(aliceAt, bob.senderKeys, sent[i]),
  );
}
process.exit(0);
